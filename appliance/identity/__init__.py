"""Identity: Keycloak as a process, the site's realm as code, its users, and the tokens it issues."""
