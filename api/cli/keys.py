"""``jetrun keys``: make, show, rotate and revoke API keys. A secret is printed once."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic import ValidationError
from rich.table import Column, Table
from rich.text import Text

from api.auth.api_keys import ApiKey, ApiKeyGrant, ApiKeyRecord, ApiKeys
from api.auth.caller import USUAL_SCOPES, Role, Scope
from api.auth.errors import InvalidApiKeyRequestError
from api.cli.console import ERR, OUT
from api.cli.log import open_log
from api.cli.options import ConfigOption, DataOption, NatsOption, given
from api.settings import load_settings
from api.signals import run_until_signalled

_Result = TypeVar("_Result")

KEYS = typer.Typer(help="API keys of the gateways' callers.", no_args_is_help=True)

_COLUMNS: Final = ("name", "user", "role", "scopes", "created", "expires")

_JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
_KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, not its secret.")]


@KEYS.command()
def create(  # noqa: PLR0913 - one parameter for each option
    name: Annotated[str, typer.Argument(help="What people call the key.")],
    *,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Whose key it is.")] = None,
    operator: Annotated[bool, typer.Option("--operator", help="It shows all users' runs.")] = False,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="May be given again. [read, run, operate]")
    ] = None,
    expires_days: Annotated[
        float | None, typer.Option(min=0, help="Days that it is good for. [no end]")
    ] = None,
    as_json: _JsonOption = False,
    nats: NatsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
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
    options = given({"nats.url": nats, "data": data, "config": config})
    _show_secret(_do(options, lambda keys: keys.create(grant)), as_json=as_json)


@KEYS.command("list")
def list_keys(
    *,
    as_json: _JsonOption = False,
    nats: NatsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the keys that exist, expired ones too; never a secret."""
    options = given({"nats.url": nats, "data": data, "config": config})
    records = _do(options, lambda keys: keys.list())
    if as_json:
        typer.echo(json.dumps([_shape(*each) for each in records.items()]))
        return
    table = Table(Column("id", no_wrap=True), *_COLUMNS, box=None)
    for key_id, record in records.items():
        shown = _shape(key_id, record)
        shown["scopes"] = " ".join(shown["scopes"])
        table.add_row(*(Text(str(value or "")) for value in shown.values()))
    OUT.print(table)


@KEYS.command()
def rotate(
    key_id: _KeyArgument,
    *,
    overlap_s: Annotated[
        float, typer.Option(min=0, help="Seconds that the secret before stays good.")
    ] = 3600,
    as_json: _JsonOption = False,
    nats: NatsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Give a key another secret; clients have the overlap to change over."""
    options = given({"nats.url": nats, "data": data, "config": config})
    overlap = timedelta(seconds=overlap_s)
    _show_secret(_do(options, lambda keys: keys.rotate(key_id, overlap)), as_json=as_json)


@KEYS.command()
def revoke(
    key_id: _KeyArgument,
    *,
    nats: NatsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove a key for good; gateways refuse it a few seconds later."""
    options = given({"nats.url": nats, "data": data, "config": config})
    _do(options, lambda keys: keys.revoke(key_id))
    ERR.print(f"{key_id} is revoked")


def _do(options: dict[str, Any], call: Callable[[ApiKeys], Awaitable[_Result]]) -> _Result:
    results: list[_Result] = []

    async def work() -> None:
        async with open_log(load_settings(options), "jetrun-keys", creates=True) as bridge:
            results.append(await call(ApiKeys(bridge)))

    run_until_signalled(work())
    if not results:
        raise typer.Exit(1)  # interrupted
    return results[0]


def _show_secret(key: ApiKey, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"id": key.key_id, "key": str(key)}))
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
