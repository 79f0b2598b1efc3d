from channels.routing import URLRouter
from channels.sessions import SessionMiddlewareStack
from django.urls import path

from notifications.consumers import UserConsumer

websockets = SessionMiddlewareStack(URLRouter([path("ws/exports", UserConsumer.as_asgi())]))
