from django.contrib import admin
from django.urls import include, path, re_path
from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView, TokenRefreshView

from renderhub import pages
from renderhub.problems import not_found

handler404 = pages.not_found

urlpatterns = [
    path("", pages.studio, name="studio"),
    path("exports/<uuid:export_id>", pages.export_page, name="export-page"),
    path("login", pages.sign_in, name="login"),
    path("logout", pages.sign_out, name="logout"),
    path("admin/", admin.site.urls),
    path("api/auth/token", TokenObtainPairView.as_view(), name="token"),
    path("api/auth/token/refresh", TokenRefreshView.as_view(), name="token-refresh"),
    path("api/auth/token/blacklist", TokenBlacklistView.as_view(), name="token-blacklist"),
    path("api/", include("exports.urls")),
    re_path(r"^api/", not_found, {"exception": None}),
]
