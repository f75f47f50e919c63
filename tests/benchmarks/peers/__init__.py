"""The servers that clinic-service is compared with. They share the database, the checks and the answers, not the way."""
