// A day's work with the types that openapi-typescript generates and openapi-fetch; test_generated_clients.py runs it.

import createClient from "openapi-fetch";
import type { paths as AccessPaths } from "./access.v1.js";
import type { components, paths as ClinicPaths } from "./clinic.v1.js";

const env = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
};
const baseUrl = env("BASE_URL");
const headers = (name: string) => ({ "x-tidepool-session-token": env(name) });
const clinics = (name: string) => createClient<ClinicPaths>({ baseUrl, headers: headers(name) });
const access = (name: string) => createClient<AccessPaths>({ baseUrl, headers: headers(name) });

const CAROL = env("CAROL_ID");
const OLGA = env("OLGA_ID");
let calls = 0;

function decoded<Data, Failure>(answer: { data?: Data; error?: Failure; response: Response }): Data {
  if (answer.data === undefined) throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  calls += 1;
  return answer.data;
}

function expect(actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
  }
}

const ada = clinics("ADA");
const olga = clinics("OLGA");
const carol = clinics("CAROL");

// Create a clinic, change it, invite and accept.
const clinic: components["schemas"]["clinic.v1"] = decoded(
  await ada.POST("/v1/clinics", { body: { name: "Valley Diabetes Centre", preferredBgUnits: "mmol/L", country: "GB" } }),
);
const clinicId = clinic.id;
const changed = await ada.PUT("/v1/clinics/{clinicId}", {
  params: { path: { clinicId } },
  body: { ...clinic, city: "Leeds", timezone: "Etc/GMT+1" },
});
expect(decoded(changed).timezone, "Etc/GMT+1");
decoded(
  await ada.POST("/v1/clinics/{clinicId}/invites/clinicians", {
    params: { path: { clinicId } },
    body: { email: "olga@mail.example", roles: ["CLINIC_MEMBER"] },
  }),
);
const invitations = decoded(
  await olga.GET("/v1/clinicians/{userId}/invites", { params: { path: { userId: OLGA } } }),
);
for (const { key } of invitations) {
  const accept = { params: { path: { userId: OLGA, inviteId: key } } };
  expect((await olga.PUT("/v1/clinicians/{userId}/invites/{inviteId}", accept)).response.status, 200);
}
const clinicians = decoded(
  await ada.GET("/v1/clinics/{clinicId}/clinicians", { params: { path: { clinicId }, query: { limit: 100 } } }),
);
expect(clinicians.map((one) => one.id).sort(), [OLGA, env("ADA_ID")].sort());

// Enrol a patient with a tag and a site, and find her by both.
const tag = decoded(
  await ada.POST("/v1/clinics/{clinicId}/patient_tags", { params: { path: { clinicId } }, body: { name: "Pumpé" } }),
);
const site = decoded(
  await ada.POST("/v1/clinics/{clinicId}/sites", { params: { path: { clinicId } }, body: { name: "North Wing" } }),
);
const patient = decoded(
  await ada.POST("/v1/clinics/{clinicId}/patients", {
    params: { path: { clinicId } },
    body: { fullName: "Fay Fox", birthDate: "2001-05-09", mrn: "F-1", tags: [tag.id], sites: [site] },
  }),
);
const path = { clinicId, patientId: patient.id };
const updated = await ada.PUT("/v1/clinics/{clinicId}/patients/{patientId}", {
  params: { path },
  body: { ...patient, diagnosisType: "type1" },
});
expect(decoded(updated).diagnosisType, "type1");
decoded(await ada.PUT("/v1/clinics/{clinicId}/patients/{patientId}/reviews", { params: { path } }));
const page = decoded(
  await ada.GET("/v1/clinics/{clinicId}/patients", {
    params: {
      path: { clinicId },
      query: { tags: [tag.id], sites: [site.id], search: "fay", sort: "-fullName", sortType: "cgm", limit: 20 },
    },
  }),
);
expect(page.data?.map((one) => one.id), [patient.id]);

// The demo's clinic, with statistics.
const demo = { clinicId: env("DEMO_CLINIC") };
const query = { period: "14d", sortType: "cgm", "cgm.timeInLowPercent": ">0.01", limit: 50 } as const;
const low = decoded(await ada.GET("/v1/clinics/{clinicId}/patients", { params: { path: demo, query } }));
expect((low.data ?? []).every((one) => (one.summary?.cgmStats?.periods?.["14d"]?.timeInLowPercent ?? 0) > 0.01), true);

// Offer access to the clinic, accept it, and narrow it down.
decoded(
  await carol.POST("/confirm/send/invite/{userId}/clinic", {
    params: { path: { userId: CAROL } },
    body: { shareCode: clinic.shareCode, permissions: { view: {}, note: {} } },
  }),
);
const offers = decoded(await ada.GET("/v1/clinics/{clinicId}/invites/patients", { params: { path: { clinicId } } }));
for (const { key } of offers) {
  decoded(
    await ada.PUT("/v1/clinics/{clinicId}/invites/patients/{inviteId}", {
      params: { path: { clinicId, inviteId: key } },
      body: { mrn: "C-1" },
    }),
  );
}
const narrowed = await carol.PUT("/v1/clinics/{clinicId}/patients/{patientId}/permissions", {
  params: { path: { clinicId, patientId: CAROL } },
  body: { view: {} },
});
expect(decoded(narrowed), { view: {} });
const given = { params: { path: { clinicId, patientId: CAROL, permission: "view" } } } as const;
const left = await carol.DELETE("/v1/clinics/{clinicId}/patients/{patientId}/permissions/{permission}", given);
expect(left.response.status, 204);

// Grant and revoke.
const grants = access("CAROL");
const pair = { params: { path: { sharerId: CAROL, userId: OLGA } } };
expect(decoded(await grants.POST("/access/{sharerId}/{userId}", { ...pair, body: { view: {}, follow: {} } })), {
  view: {},
  follow: {},
});
const held: components["schemas"]["patientPermissions.v1"] & { follow?: object } = decoded(
  await grants.GET("/access/{sharerId}/{userId}", pair),
);
expect([held.view, held.follow], [{}, {}]);
decoded(await grants.GET("/access/{sharerId}", { params: { path: { sharerId: CAROL } } }));
expect((await grants.POST("/access/{sharerId}/{userId}", { ...pair, body: {} })).data, null);
expect((await grants.GET("/access/{sharerId}/{userId}", pair)).response.status, 404);
console.log(`${calls} calls`);
