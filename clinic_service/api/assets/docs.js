SwaggerUIBundle({
  dom_id: "#reference",
  urls: [
    { url: "openapi/clinic.v1.json", name: "Clinics API" },
    { url: "openapi/access.v1.json", name: "Access API" },
  ],
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  showExtensions: true,
  validatorUrl: null,
});
