from django.contrib import admin
from django.urls import include, path, re_path
from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView, TokenRefreshView

from renderhub.problems import not_found

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/auth/token", TokenObtainPairView.as_view(), name="token"),
    path("api/auth/token/refresh", TokenRefreshView.as_view(), name="token-refresh"),
    path("api/auth/token/blacklist", TokenBlacklistView.as_view(), name="token-blacklist"),
    path("api/", include("exports.urls")),
    re_path(r"^api/", not_found, {"exception": None}),
]
