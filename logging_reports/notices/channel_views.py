"""Pages of Administration > Notice channels: the shared channels, their rules and deliveries."""

from __future__ import annotations

import hashlib
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kmes.core.actor import Actor
from kmes.core.errors import KmesError
from kmes.ui.access import right_required
from kmes.ui.responses import go_to, render_form
from kmes.ui.tables import arrange, searched_text
from logging_reports.notices import channels, selectors, signatures
from logging_reports.notices.choices import ChannelKind, Threshold
from logging_reports.notices.deliveries import tries_allowed
from logging_reports.notices.forms import ChannelForm
from logging_reports.notices.models import Channel
from logging_reports.notices.tables import ChannelTable, DeliveryTable

MANAGE = "notice.manage"
DELIVERIES_ID = "deliveries"
NO_CONTENT = 204


def find_or_404(channel_id: UUID) -> Channel:
    """Return the channel.

    Raises:
        Http404: there is none.

    """
    channel = channels.find_channel(channel_id)
    if channel is None:
        raise Http404(_("There is no such channel; it may have been deleted."))
    return channel


@require_safe
@right_required(MANAGE)
def list_channels(request: HttpRequest) -> HttpResponse:
    """List the channels and the settings that concern them."""
    search = searched_text(request.GET)
    table = ChannelTable(selectors.list_channels(search))
    arrange(request, table)
    context = {
        "table": table,
        "search": search,
        "is_empty": not search and not table.paginator.count,
        "mail_host": settings.EMAIL_HOST,
        "mail_from": settings.DEFAULT_FROM_EMAIL,
        "private_hosts": settings.KMES_WEBHOOK_PRIVATE_HOSTS,
        "allows_http": settings.KMES_WEBHOOK_ALLOW_HTTP,
        "public_url": settings.KMES_PUBLIC_URL,
    }
    return render(request, "notices/channels.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(MANAGE)
def add_channel(request: HttpRequest, kind: str) -> HttpResponse:
    """Add a channel. The response shows a webhook's secret, which is never shown again."""
    if kind not in ChannelKind.values:
        raise Http404(_("There is no such kind of channel."))
    form = ChannelForm(request.POST or None, kind=kind)
    if request.method == "POST" and form.is_valid():
        channel = channels.add_channel(ChannelKind(kind), form.values(), actor=Actor.from_user(request.user))
        if channel.kind == ChannelKind.WEBHOOK:
            return _show_secret(request, channel, signatures.signing_key(channel))
        messages.success(request, _("The channel %(name)s was added.") % {"name": channel.name})
        return go_to(request, channel.get_absolute_url())
    return render_form(
        request, "notices/channel_form.html", {"form": form, "channel": None}, refused=request.method == "POST"
    )


@require_safe
@right_required(MANAGE)
def show_channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Show a channel, its rules and its deliveries. htmx requests the deliveries alone."""
    channel = find_or_404(channel_id)
    table = DeliveryTable(selectors.list_deliveries(channel))
    arrange(request, table)
    shown = [row.record for row in table.paginated_rows]
    seen = repr([(delivery.pk, delivery.state, delivery.attempts, delivery.last_answer) for delivery in shown])
    digest = hashlib.sha256(seen.encode()).hexdigest()[:16]
    is_part = request.headers.get("HX-Target") == DELIVERIES_ID
    if is_part and request.GET.get("seen") == digest:
        return HttpResponse(status=NO_CONTENT)
    context = {
        "channel": channel,
        "rules": [(field.label, Threshold(field.initial).label) for field in _rule_fields(channel)],
        "table": table,
        "digest": digest,
        "deliveries_id": DELIVERIES_ID,
        "tries": tries_allowed(),
        "key_is_lost": channel.kind == ChannelKind.WEBHOOK and channel.key_check != signatures.check_value(channel),
    }
    response = render(request, "notices/_deliveries.html" if is_part else "notices/channel.html", context)
    patch_vary_headers(response, ["HX-Target"])
    return response


def _rule_fields(channel: Channel) -> list:  # type: ignore[type-arg]
    return [bound.field for bound in ChannelForm(kind=channel.kind, channel=channel).rule_fields()]


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(MANAGE)
def edit_channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Change a channel."""
    channel = find_or_404(channel_id)
    form = ChannelForm(request.POST or None, kind=channel.kind, channel=channel)
    if request.method == "POST" and form.is_valid():
        channels.change_channel(channel, form.values(), actor=Actor.from_user(request.user))
        messages.success(request, _("The channel was saved."))
        return go_to(request, channel.get_absolute_url())
    context = {"form": form, "channel": channel}
    return render_form(request, "notices/channel_form.html", context, refused=request.method == "POST")


@require_POST
@right_required(MANAGE)
def test_channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Send a test notice through the channel."""
    channel = find_or_404(channel_id)
    if channel.is_enabled:
        try:
            channels.send_test(channel, actor=Actor.from_user(request.user))
            messages.success(request, _("The test is on its way. The result appears below."))
        except KmesError as error:
            messages.error(request, str(error))
    else:
        messages.error(request, _("The channel is not in use, so nothing was sent. Switch it on first."))
    return redirect(channel.get_absolute_url())


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(MANAGE)
def renew_secret(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Ask for confirmation, then renew the webhook's secret. Only this response shows it."""
    channel = find_or_404(channel_id)
    if channel.kind != ChannelKind.WEBHOOK:
        raise Http404(_("Only webhooks have a secret."))
    if request.method == "POST":
        return _show_secret(request, channel, channels.renew_secret(channel, actor=Actor.from_user(request.user)))
    return render(request, "notices/renew_secret.html", {"channel": channel})


@require_http_methods(["GET", "HEAD", "POST"])
@right_required(MANAGE)
def delete_channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Ask for confirmation, then delete the channel."""
    channel = find_or_404(channel_id)
    if request.method == "POST":
        channels.delete_channel(channel, actor=Actor.from_user(request.user))
        messages.success(request, _("The channel %(name)s was deleted.") % {"name": channel.name})
        return redirect("notices:channels")
    return render(request, "notices/channel_delete.html", {"channel": channel})


def _show_secret(request: HttpRequest, channel: Channel, secret: str) -> HttpResponse:
    channel.refresh_from_db()
    return render(request, "notices/secret.html", {"channel": channel, "secret": secret})
