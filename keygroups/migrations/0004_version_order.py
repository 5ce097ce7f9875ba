from django.db import migrations, models


def number(apps, _schema_editor):
    """Give the versions of each group their order; until now the moment of the push told it."""
    versions = apps.get_model("keygroups", "CloudVersion").objects.filter(pushed_at__isnull=False)
    group_id, ordinal = None, 0
    for version in versions.order_by("group_id", "pushed_at", "pk").only("group_id").iterator():
        ordinal = ordinal + 1 if version.group_id == group_id else 1
        group_id = version.group_id
        versions.filter(pk=version.pk).update(ordinal=ordinal)


class Migration(migrations.Migration):
    dependencies = [
        ("keygroups", "0003_observations"),
    ]

    operations = [
        migrations.AddField(
            model_name="cloudversion",
            name="ordinal",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.RunPython(number, migrations.RunPython.noop, elidable=True),
    ]
