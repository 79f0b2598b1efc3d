from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from renderhub import exceptions, pages
from renderhub.problems import not_found
from renderhub.tokens import RefreshView, SignInView, SignOutView

handler400 = exceptions.bad_request
handler404 = pages.not_found
handler500 = exceptions.server_error

urlpatterns = [
    path("", pages.studio, name="studio"),
    path("exports/<uuid:export_id>", pages.export_page, name="export-page"),
    path("login", pages.sign_in, name="login"),
    path("logout", pages.sign_out, name="logout"),
    path("admin/", admin.site.urls),
    path("api/auth/token", SignInView.as_view(), name="token"),
    path("api/auth/token/refresh", RefreshView.as_view(), name="token-refresh"),
    path("api/auth/token/blacklist", SignOutView.as_view(), name="token-blacklist"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(), name="docs"),
    path("api-auth/", include("rest_framework.urls")),
    path("api/", include("exports.urls")),
    re_path(r"^api(?:/|$)", not_found, {"exception": None}),
]
