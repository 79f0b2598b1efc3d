"""What the HTTP API takes and gives. Names are camelCase here and on the wire, snake_case inside."""
