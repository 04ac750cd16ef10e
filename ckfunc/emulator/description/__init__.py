"""What the Platform API is, as data: its operations and schemas, the OpenAPI document made of them, and its page."""
