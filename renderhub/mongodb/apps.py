"""Django's own apps as MongoDB needs them, and primary keys as MongoDB has them."""

from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig
from django.db.models import Model
from django.db.models.signals import class_prepared

_OBJECT_ID = "django_mongodb_backend.fields.ObjectIdAutoField"


class MongoDBConfig(AppConfig):
    """Must come before every app that has models."""

    name = "renderhub.mongodb"
    label = "renderhub_mongodb"


class MongoAdminConfig(AdminConfig):
    """The admin, its rows keyed by ObjectId."""

    default_auto_field = _OBJECT_ID


class MongoAuthConfig(AuthConfig):
    """Users and groups, keyed by ObjectId."""

    default_auto_field = _OBJECT_ID


class MongoContentTypesConfig(ContentTypesConfig):
    """Content types, keyed by ObjectId."""

    default_auto_field = _OBJECT_ID


def keep_primary_key_in_id(sender: type[Model], **kwargs: Any) -> None:
    """Store the primary key as MongoDB's ``_id``, and not in a second, merely unique, column.

    It sets the column alone, which migrations don't look at: one set of them serves every database.
    """
    key = sender._meta.pk
    if key is not None and not sender._meta.abstract:
        key.column = "_id"


# Here, and not in ready(): Django imports every app's configuration before the first model.
class_prepared.connect(keep_primary_key_in_id)
