"""The client protocol: STOMP 1.2 over WebSocket, as the platform's client libraries speak it."""
