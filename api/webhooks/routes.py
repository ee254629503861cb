"""Shows what became of the call of a run's webhook."""

from aiohttp import web

from api.answer_schemas import WebhookShown
from api.answers import json_answer
from api.identity import user_of
from api.operations import Answer, operation
from api.run_watching import run_of
from runs import RunsFacade, WebhookNotFoundError, WebhookRecord


class WebhookRoutes:
    """Shows webhooks."""

    def __init__(self, facade: RunsFacade) -> None:
        self._facade = facade

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of webhooks."""
        return [web.get("/threads/{thread_id}/runs/{run_id}/webhook", self.get)]

    @operation(Answer(WebhookShown), raises=(WebhookNotFoundError,))
    async def get(self, request: web.Request) -> web.Response:
        """``GET .../webhook``: how far its call has come, and what the last one met."""
        run = run_of(request)
        webhook = await self._facade.get_webhook(*run, user_id=user_of(request))
        return json_answer(_shape(webhook))


def _shape(webhook: WebhookRecord) -> WebhookShown:
    """Show a webhook without its address, which may hold a secret of the receiver."""
    return {
        "run_id": webhook.run_id,
        "thread_id": webhook.thread_id,
        "status": webhook.status,
        "attempts": webhook.attempts,
        "error": webhook.error,
        "created_at": webhook.created_at.isoformat(),
        "updated_at": webhook.updated_at.isoformat(),
    }
