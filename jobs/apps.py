"""App configuration of jobs."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Registers what can be started from the menus of keys, groups and credentials."""

    name = "jobs"

    def ready(self) -> None:
        """Register menus, reports, links of notices, what the search finds, and what credentials' pages ask of jobs."""
        from cloudcreds import activity, listing, tenants  # noqa: PLC0415 - models must be loaded first
        from jobs import models, spec  # noqa: PLC0415
        from jobs.approvals import changes as approved_changes  # noqa: PLC0415
        from jobs.approvals import role_uses  # noqa: PLC0415
        from jobs.kinds.registry import KINDS  # noqa: PLC0415
        from jobs.pages import (  # noqa: PLC0415
            acting_views,
            actions,
            notice_links,
            reports,
            search,
        )
        from jobs.pages.key_jobs import find_key_jobs  # noqa: PLC0415
        from jobs.pages.selectors import find_activity  # noqa: PLC0415
        from jobs.pages.tenant_lookup import look_up_tenant  # noqa: PLC0415
        from jobs.pages.vault_listing import LISTER  # noqa: PLC0415
        from jobs.withdrawal import OpenJobs  # noqa: PLC0415
        from keygroups import key_jobs  # noqa: PLC0415
        from kmes.accounts import permissions, withdrawal  # noqa: PLC0415
        from kmes.accounts.roles import uses  # noqa: PLC0415
        from kmes.core import changes, guarded_changes  # noqa: PLC0415

        # What the schedule and the ledgers note is shown nowhere.
        unseen = (models.ScheduleClock, models.ClockWitness, models.Intent, models.EphemeralKek)
        changes.watch("jobs", *(model for model in self.get_models() if model not in unseen))
        spec.install(KINDS)
        actions.register_all()
        notice_links.register_all()
        reports.register_all()
        search.register_all()
        acting_views.register_all()
        activity.register(find_activity)
        listing.register(LISTER)
        tenants.register(look_up_tenant)
        key_jobs.register(find_key_jobs)
        withdrawal.register(OpenJobs())
        withdrawal.register(role_uses.Approvers())
        uses.register(role_uses.find_uses)
        permissions.register(role_uses.conditions_of)
        guarded_changes.connect(
            needed=role_uses.approvals_needed,
            use_approved=approved_changes.use_approved,
            find_values=approved_changes.find_values,
            is_approved=approved_changes.is_approved,
        )
