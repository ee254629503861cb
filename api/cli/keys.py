"""``jetrun keys``: make, show, rotate and revoke API keys. A secret is printed once."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import ValidationError

from api.auth.api_keys import ApiKey, ApiKeyGrant, ApiKeyRecord, ApiKeys
from api.auth.caller import USUAL_SCOPES, Role, Scope
from api.auth.errors import InvalidApiKeyRequestError
from api.cli.console import ERR
from api.cli.log import open_log
from api.cli.options import JsonOption, with_settings
from api.cli.output import print_json, print_rows
from api.cli.waiting import finished
from api.settings import Settings

_Result = TypeVar("_Result")

KEYS = typer.Typer(help="API keys of the gateways' callers.", no_args_is_help=True)

_COLUMNS: Final = ("id", "name", "user_id", "role", "scopes", "created_at", "expires_at")

_MAX_DAYS: Final = 36_500
_MAX_OVERLAP_S: Final = 31_536_000

_KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, not its secret.")]


@KEYS.command()
@with_settings
def create(  # noqa: PLR0913 - one parameter for each option
    name: Annotated[str, typer.Argument(help="What people call the key.")],
    *,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Whose key it is.")] = None,
    operator: Annotated[bool, typer.Option("--operator", help="It shows all users' runs.")] = False,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="May be given again. [read, run, operate]")
    ] = None,
    expires_days: Annotated[
        float | None,
        typer.Option(min=0, max=_MAX_DAYS, help="Days that it is good for. [no end]"),
    ] = None,
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Make a key for a user, or with --operator one that shows everything."""
    if user is None and not operator:
        raise InvalidApiKeyRequestError("a key belongs to a --user, or is an --operator's")
    ends = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    try:
        grant = ApiKeyGrant(
            name=name,
            user_id=user,
            role=Role.OPERATOR if operator else Role.USER,
            scopes=tuple(dict.fromkeys(scope or USUAL_SCOPES)),
            expires_at=ends,
        )
    except ValidationError as exc:
        raise InvalidApiKeyRequestError(_explained(exc)) from exc
    _show_secret(_do(settings, lambda keys: keys.create(grant)), as_json=as_json)


@KEYS.command("list")
@with_settings
def list_keys(
    *,
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Show the keys that exist, expired ones too; never a secret."""
    records = _do(settings, lambda keys: keys.list())
    shown = [_shape(*each) for each in records.items()]
    if as_json:
        print_json(shown)
    else:
        print_rows(_COLUMNS, [{**each, "scopes": " ".join(each["scopes"])} for each in shown])


@KEYS.command()
@with_settings
def rotate(
    key_id: _KeyArgument,
    *,
    overlap_s: Annotated[
        float,
        typer.Option(min=0, max=_MAX_OVERLAP_S, help="Seconds that the secret before stays good."),
    ] = 3600,
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Give a key another secret; clients have the overlap to change over."""
    overlap = timedelta(seconds=overlap_s)
    _show_secret(_do(settings, lambda keys: keys.rotate(key_id, overlap)), as_json=as_json)


@KEYS.command()
@with_settings
def revoke(key_id: _KeyArgument, *, as_json: JsonOption = False, settings: Settings) -> None:
    """Remove a key for good; gateways refuse it a few seconds later."""
    _do(settings, lambda keys: keys.revoke(key_id))
    if as_json:
        print_json({"id": key_id, "revoked": True})
    else:
        ERR.print(f"{key_id} is revoked")


def _do(settings: Settings, call: Callable[[ApiKeys], Awaitable[_Result]]) -> _Result:
    async def work() -> _Result:
        async with open_log(settings, "jetrun-keys", creates=True) as bridge:
            return await call(ApiKeys(bridge))

    return finished(work())


def _show_secret(key: ApiKey, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": key.key_id, "key": str(key)})
        return
    typer.echo(str(key))
    ERR.print(f"id {key.key_id}; the key is shown this once and stored nowhere", style="yellow")


def _shape(key_id: str, record: ApiKeyRecord) -> dict[str, Any]:
    grant = record.grant.model_dump(mode="json")
    return {
        "id": key_id,
        **{name: grant[name] for name in ("name", "user_id", "role", "scopes")},
        "created_at": record.created_at.isoformat(timespec="seconds"),
        "expires_at": grant["expires_at"],
    }


def _explained(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in problems)
