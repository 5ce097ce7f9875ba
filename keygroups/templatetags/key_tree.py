"""Template tags of the tree of the Keys view, which has hundreds of lines: a template per line takes four times as long."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from keygroups.tree import Node
from kmes.ui.templatetags.kmes_ui import badge, cut_to_width, icon, menu_button

register = template.Library()
_NOTHING = SafeString("")


@register.simple_tag
def open_tree_line(node: Node, *, has_boxes: bool = False) -> SafeString:
    """Open the list item of a node and show its line. ``has_boxes``: whether groups can be selected."""
    return format_html(
        '<li class="tree-node" data-node="{}"{}{}>\n'
        '  <div class="tree-row"><span class="tree-twist needs-script" data-twist>{}</span>{}{}\n{}</div>',
        node.id,
        format_html(' data-branch="{}"', node.branch_url) if node.branch_url else _NOTHING,
        format_html(' data-menu="{}"', node.menu_url) if node.menu_url else _NOTHING,
        icon("chevron") if node.branch_url else _NOTHING,
        _box(node) if node.pick and has_boxes else _NOTHING,
        node_link(node),
        menu_button(node.menu_url, node.label) if node.menu_url else _NOTHING,
    )


@register.simple_tag
def node_link(node: Node, *, is_renewed: bool = False) -> SafeString:
    """Show the link of a node. ``is_renewed``: it replaces the one in the page."""
    fills = ' hx-get="{}" hx-target="#keys-pane" hx-swap="outerHTML" hx-push-url="true"'
    return format_html(
        '<a id="node-{}" class="tree-link" href="{}"{}{}{}>{}<span class="tree-text"><span class="tree-label">{}</span> '
        '<span class="tree-facts">{} {}</span></span></a>',
        node.id,
        node.url,
        SafeString(' aria-current="true"') if node.is_chosen else _NOTHING,
        format_html(fills, node.url) if node.fills_pane else _NOTHING,
        SafeString(' hx-swap-oob="true"') if is_renewed else _NOTHING,
        icon(node.icon),
        cut_to_width(node.label),
        badge(node.state, node.colour) if node.state else _NOTHING,
        format_html_join(" ", "<span>{}</span>", ((note,) for note in node.notes)),
    )


def _box(node: Node) -> SafeString:
    return format_html(
        '<input type="checkbox" class="form-check-input" name="picked" value="{}" data-check-row aria-label="{}">',
        node.pick,
        _("Select %(name)s") % {"name": node.label},
    )
