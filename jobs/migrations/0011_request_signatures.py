"""Columns for the signatures of requests. What runs noted leaves the parameters, which a signature covers."""

from django.db import migrations, models
from django.db.models import Q

import kmes.core.clock

NOTES = ("awaits_grants", "right_missing_since", "grant_tries", "proof")


def take_notes_out_of_parameters(apps, _schema_editor):
    """Move the members of ``params`` that runs wrote into ``run_notes``."""
    jobs = apps.get_model("jobs", "Job").objects
    has_notes = Q()
    for name in NOTES:
        has_notes |= Q(params__has_key=name)
    for job in jobs.filter(has_notes).only("params").iterator():
        notes = {name: job.params.pop(name) for name in NOTES if name in job.params}
        jobs.filter(pk=job.pk).update(params=job.params, run_notes=notes)


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0010_job_warnings"),
    ]

    operations = [
        migrations.AddField(
            model_name="certification",
            name="request_signature",
            field=models.BinaryField(default=bytes),
        ),
        migrations.AddField(
            model_name="certification",
            name="request_signer",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name="job",
            name="request_signature",
            field=models.BinaryField(default=bytes),
        ),
        migrations.AddField(
            model_name="job",
            name="request_signer",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name="job",
            name="run_notes",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="jobtarget",
            name="request_signature",
            field=models.BinaryField(default=bytes),
        ),
        migrations.AlterField(
            model_name="certification",
            name="created_at",
            field=models.DateTimeField(default=kmes.core.clock.now, editable=False),
        ),
        migrations.AlterField(
            model_name="job",
            name="created_at",
            field=models.DateTimeField(db_index=True, default=kmes.core.clock.now, editable=False),
        ),
        migrations.RunPython(take_notes_out_of_parameters, migrations.RunPython.noop),
    ]
