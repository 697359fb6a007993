// Every example is sent to this host alone; `validatorUrl: null` keeps Swagger UI from asking its makers' one.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
});
