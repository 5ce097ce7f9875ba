from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("logging_reports", "0013_approval_notices"),
    ]

    operations = [
        migrations.AlterField(
            model_name="notice",
            name="topic",
            field=models.CharField(
                choices=[
                    ("jobs", "Failed jobs"),
                    ("rotation", "Missed or failed rotations"),
                    ("expiry", "Keys and client secrets near expiry"),
                    ("drift", "Drift between console and vault"),
                    ("vault", "Vault unreachable"),
                    ("device", "Device away or back"),
                    ("export", "Own exports that are ready"),
                    ("approval", "Approvals requested or refused"),
                    ("access", "Company sign-on: changed, or not used"),
                    ("sign_in", "Own sign-in: new devices, second factor"),
                    ("log", "Log chain broken"),
                    ("delivery", "Notices that did not get out"),
                    ("test", "Tests of a channel"),
                ],
                max_length=16,
                verbose_name="Topic",
            ),
        ),
    ]
