"""Paths of sign-in, users, roles, and the pages about oneself."""

from django.urls import path

from kmes.accounts import profile_views, session_views, user_selection_views, user_views, views
from kmes.accounts.assignments import views as assignment_views
from kmes.accounts.company_sign_on import settings_views
from kmes.accounts.company_sign_on import views as company_views
from kmes.accounts.dual_login import views as dual_views
from kmes.accounts.roles import views as role_views
from kmes.accounts.second_factor import views as factor_views
from kmes.accounts.second_factor.passkeys import views as passkey_views

app_name = "accounts"
urlpatterns = [
    path("login/", views.login, name="login"),
    path("login/second-factor/", factor_views.second_step, name="second_step"),
    path("login/second-factor/options/", passkey_views.second_step_options, name="second_step_options"),
    path("login/passkey/", passkey_views.sign_in_with_passkey, name="passkey_sign_in"),
    path("login/passkey/options/", passkey_views.sign_in_options, name="sign_in_options"),
    path("login/company/", company_views.start, name="sign_on_start"),
    path("login/company/answer/", company_views.answer, name="sign_on_answer"),
    path("login/company/logout/", company_views.end_sessions, name="sign_on_logout"),
    path("login/company/signed-out/", company_views.show_signed_out, name="sign_on_signed_out"),
    path("logout/", views.logout, name="logout"),
    path("profile/", profile_views.show_profile, name="profile"),
    path("profile/password/", profile_views.change_password, name="own_password"),
    path("profile/sessions/", session_views.list_own, name="own_sessions"),
    path("profile/sessions/end-others/", session_views.end_others, name="end_other_sessions"),
    path("profile/sessions/time-left/", session_views.show_time_left, name="session_time_left"),
    path("profile/second-factor/", factor_views.show, name="second_factor"),
    path("profile/second-factor/confirm/", factor_views.confirm, name="confirm_factor"),
    path("profile/second-factor/confirm/company/", company_views.confirm, name="sign_on_confirm"),
    path("profile/second-factor/app/", factor_views.add_app, name="add_app"),
    path("profile/second-factor/recovery-codes/", factor_views.make_recovery_codes, name="recovery_codes"),
    path("profile/second-factor/remove/", factor_views.remove, name="remove_factor"),
    path("profile/second-factor/options/", passkey_views.own_options, name="passkey_options"),
    path("profile/second-factor/passkeys/add/", passkey_views.add, name="add_passkey"),
    path("profile/second-factor/passkeys/options/", passkey_views.new_options, name="new_passkey_options"),
    path("profile/second-factor/passkeys/<int:passkey_id>/remove/", passkey_views.remove, name="remove_passkey"),
    path("sessions/", session_views.list_all, name="sessions"),
    path("sessions/<slug:session>/end/", session_views.end_session, name="end_session"),
    path("users/", user_views.list_users, name="users"),
    path("users/add/", user_views.add_user, name="user_add"),
    path("users/selection/actions/", user_selection_views.show_selection_actions, name="users_actions"),
    path("users/selection/<slug:act>/", user_selection_views.act_on_users, name="users_act"),
    path("users/unlock/", user_views.unlock_sign_in, name="unlock"),
    path("users/<int:user_id>/", user_views.show_user, name="user"),
    path("users/<int:user_id>/actions/", user_views.show_actions, name="user_actions"),
    path("users/<int:user_id>/edit/", user_views.edit_user, name="user_edit"),
    path("users/<int:user_id>/scopes/give/", assignment_views.give_role, name="user_give_role"),
    path("users/<int:user_id>/scopes/<int:assignment_id>/take/", assignment_views.take_role, name="user_take_role"),
    path("users/scopes/<slug:kind>/names/", assignment_views.suggest_scopes, name="scope_names"),
    path("users/<int:user_id>/deactivate/", user_views.confirm, {"act": "deactivate"}, name="user_deactivate"),
    path("users/<int:user_id>/reactivate/", user_views.confirm, {"act": "reactivate"}, name="user_reactivate"),
    path(
        "users/<int:user_id>/reset-password/", user_views.confirm, {"act": "reset_password"}, name="user_reset_password"
    ),
    path(
        "users/<int:user_id>/reset-second-factor/",
        user_views.confirm,
        {"act": "reset_factor"},
        name="user_reset_factor",
    ),
    path("users/<int:user_id>/unlink/", user_views.confirm, {"act": "unlink"}, name="user_unlink"),
    path("company-sign-on/", settings_views.edit, name="sign_on"),
    path("company-sign-on/test/", settings_views.test, name="sign_on_test"),
    path("company-sign-on/trial/", company_views.try_sign_in, name="sign_on_trial"),
    path("dual-login/", dual_views.edit_policy, name="dual_login"),
    path("dual-login/sign-in/", dual_views.sign_in, name="second_administrator"),
    path("dual-login/sign-in/factor/", dual_views.prove_factor, name="second_administrator_factor"),
    path("dual-login/sign-in/factor/options/", dual_views.options, name="second_administrator_options"),
    path("dual-login/end/", dual_views.end, name="end_second_administrator"),
    path("roles/", role_views.list_roles, name="roles"),
    path("roles/add/", role_views.add_role, name="role_add"),
    path("roles/<slug:role>/", role_views.show_role, name="role"),
    path("roles/<slug:role>/actions/", role_views.show_actions, name="role_actions"),
    path("roles/<slug:role>/edit/", role_views.edit_role, name="role_edit"),
    path("roles/<slug:role>/delete/", role_views.delete_role, name="role_delete"),
]
