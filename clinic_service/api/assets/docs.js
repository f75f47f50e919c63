Scalar.createApiReference("#reference", {
  // The documents for this page: the published ones, with the callers of each operation in words.
  sources: [
    { slug: "clinics", title: "Clinics API", url: "docs/clinic.v1.json" },
    { slug: "access", title: "Access API", url: "docs/access.v1.json" },
  ],
  // A pasted token is forgotten with the page.
  persistAuth: false,
  authentication: { preferredSecurityScheme: "sessionToken" },
  // The header has links to the published documents in both formats.
  documentDownloadType: "none",
  // Whatever leads to, or sends to, another host.
  agent: { disabled: true },
  hideClientButton: true,
  mcp: { disabled: true },
  showDeveloperTools: "never",
  telemetry: false,
  withDefaultFonts: false,
});
