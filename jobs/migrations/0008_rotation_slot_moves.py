"""Give rotation slots a state of their own, cut their foreign key to jobs, and hand their table to ``keygroups``."""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery

# State of the job -> state of the slot. The slot of a job that has not ended, or is gone, stays pending.
OUTCOMES = {"succeeded": "succeeded", "failed": "failed", "partly_failed": "failed", "cancelled": "cancelled"}


def fill_states(apps, _schema_editor):
    slots, jobs = apps.get_model("jobs", "RotationSlot").objects, apps.get_model("jobs", "Job").objects
    for reason in ("missed", "refused"):
        slots.filter(skipped=reason).update(state=reason)
    job_state = Subquery(jobs.filter(pk=OuterRef("job_id")).values("state")[:1])
    for ended, outcome in OUTCOMES.items():
        slots.filter(skipped="").annotate(job_state=job_state).filter(job_state=ended).update(state=outcome)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0007_kind_without_choices"),
    ]

    operations = [
        migrations.AddField(
            model_name="rotationslot",
            name="state",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("succeeded", "Succeeded"),
                    ("failed", "Failed"),
                    ("cancelled", "Cancelled"),
                    ("refused", "Refused"),
                    ("missed", "Missed"),
                ],
                default="pending",
                max_length=16,
            ),
        ),
        migrations.RunPython(fill_states, migrations.RunPython.noop),
        migrations.RemoveField(model_name="rotationslot", name="skipped"),
        migrations.AlterField(
            model_name="rotationslot",
            name="job",
            field=models.UUIDField(db_column="job_id", db_index=True, null=True),
        ),
        # The column keeps its name, so only the field is renamed.
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel(name="RotationSlot")]),
    ]
