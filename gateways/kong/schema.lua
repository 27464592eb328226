-- Settings of the plugin. Give the key as a reference, such as {vault://env/fairlead-key}: it stays in the environment.
return {
  name = "fairlead",
  fields = {
    {
      config = {
        type = "record",
        fields = {
          { host = { type = "string", required = true } },
          { port = { type = "integer", default = 8080, between = { 1, 65535 } } },
          { path = { type = "string", default = "" } },
          { tls = { type = "boolean", default = false } },
          { key = { type = "string", referenceable = true, encrypted = true } },
          { timeout_ms = { type = "integer", default = 30, between = { 1, 10000 } } },
          { asked = { type = "string", default = "auto" } },
          { models = { type = "map", keys = { type = "string" }, values = { type = "string" } } },
        },
      },
    },
  },
}
