from django.db import migrations, models


def keep_what_is_wanted(apps, _schema_editor):
    """Copy what was recorded as wanted, and take over how the last comparison saw each version."""
    versions = apps.get_model("keygroups", "CloudVersion").objects
    versions.update(wanted_enabled=models.F("enabled"), wanted_expires_at=models.F("expires_at"))
    groups = apps.get_model("keygroups", "KeyGroup").objects
    active = versions.filter(state="active").exclude(azure_version="")
    for group_id, azure_version in active.values_list("group_id", "azure_version").iterator():
        groups.filter(pk=group_id).update(current_version=azure_version)
    seen = apps.get_model("keygroups", "Observation").objects.filter(version__isnull=False, is_present=True)
    for row in seen.exclude(flags=[]).iterator():
        version = versions.filter(pk=row.version_id, azure_version=row.azure_version)
        version.update(differs=True, enabled=row.enabled, expires_at=row.expires_on)
        if row.enabled:
            # Which version is current is asked at the next comparison.
            version.filter(state="disabled").update(state="superseded")
        else:
            version.filter(state__in=["active", "superseded"]).update(state="disabled")


class Migration(migrations.Migration):
    dependencies = [
        ("keygroups", "0006_rotation_attempts"),
    ]

    operations = [
        migrations.AddField(
            model_name="cloudversion",
            name="differs",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="not_before",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="wanted_enabled",
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="wanted_expires_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="cloudversion",
            name="wanted_not_before",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="keygroup",
            name="current_version",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="observation",
            name="not_before",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(keep_what_is_wanted, migrations.RunPython.noop, elidable=True),
    ]
