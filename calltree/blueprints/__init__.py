"""Pages: parse → one service → render. `ALL` lists every blueprint."""

from __future__ import annotations

from flask import Flask

from calltree.blueprints import (
    access,
    admin,
    answering,
    api,
    api_tokens,
    assets,
    assistance,
    auth,
    bans,
    bulk,
    call_side,
    call_transfers,
    calling,
    campaigns,
    closed_days,
    customers,
    duplicates,
    erasing,
    exports,
    failures,
    formats,
    given,
    guidances,
    headers,
    health,
    history,
    imports,
    inbound,
    language,
    list_bin,
    list_work,
    lists,
    live,
    manual,
    missed,
    navigation,
    notices,
    operator,
    patterns,
    people,
    predictive,
    projects,
    recording_list,
    recordings,
    reports,
    saved_searches,
    saving,
    second_factor,
    site,
    softphone,
    sounds,
    summaries,
    switches,
    tasks,
    trunks,
    wall,
    watch,
    webhooks,
    what_if,
)

ALL = (
    auth.bp,
    second_factor.bp,
    language.bp,
    admin.bp,
    operator.bp,
    call_transfers.bp,
    calling.bp,
    softphone.bp,
    saving.bp,
    predictive.bp,
    call_side.bp,
    manual.bp,
    answering.bp,
    missed.bp,
    assistance.bp,
    tasks.bp,
    lists.bp,
    list_work.bp,
    saved_searches.bp,
    list_bin.bp,
    duplicates.bp,
    erasing.bp,
    imports.bp,
    customers.bp,
    history.bp,
    reports.bp,
    summaries.bp,
    exports.bp,
    projects.bp,
    trunks.bp,
    switches.bp,
    patterns.bp,
    bans.bp,
    bulk.bp,
    people.bp,
    site.bp,
    watch.bp,
    notices.bp,
    wall.bp,
    closed_days.bp,
    sounds.bp,
    inbound.bp,
    guidances.bp,
    recordings.bp,
    recording_list.bp,
    health.bp,
    live.bp,
    api_tokens.bp,
    webhooks.bp,
    campaigns.bp,
    what_if.bp,
    api.bp,
)


def init_app(app: Flask) -> None:
    """Register the blueprints and what stands around them."""
    given.init_app(app)
    auth.init_app(app)
    access.init_app(app)
    headers.init_app(app)
    failures.init_app(app)
    formats.init_app(app)
    assets.init_app(app)
    navigation.init_app(app)
    live.init_app(app)
    softphone.init_app(app)
    switches.init_app(app)
    assistance.init_app(app)
    answering.init_app(app)
    call_transfers.init_app(app)
    for blueprint in ALL:
        app.register_blueprint(blueprint)
