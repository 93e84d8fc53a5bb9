//! What giving a role does at the server, as the statements that will be run: for people who decide.

use super::config::{Resource, Role};
use super::names::role_name;
use super::quote::{Unquotable, ident};

/// The statements that make the role of this key, but for its limit and its mark.
pub(super) fn effect(key: &str, resource: &Resource, role: &Role) -> Result<Vec<String>, Unquotable> {
    let database = ident(&resource.database)?;
    let quoted = ident(&role_name(key))?;
    let limit = role.connection_limit;
    let mut lines = vec![format!("CREATE ROLE {quoted} LOGIN CONNECTION LIMIT {limit}")];
    for other in &role.member_of {
        lines.push(format!("GRANT {} TO {quoted}", ident(other)?));
    }
    for grant in &role.grants {
        lines.push(grant.sql(&database, &quoted)?);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_statements_are_those_that_are_run() {
        let resource = Resource::read(&json!({"database": "orders"})).unwrap();
        let role = json!({
            "member_of": ["app_writer"],
            "grants": [{"on": "table", "name": "odd\"one", "privileges": ["select", "insert"]}],
        });
        let role = Role::read(&role).unwrap();
        let key = "gaaaaaaaaaaaaaaaa_0";
        let told = effect(key, &resource, &role).unwrap();
        let name = "\"daypass_gaaaaaaaaaaaaaaaa_0\"";
        let expected = [
            format!(
                "CREATE ROLE {name} LOGIN CONNECTION LIMIT {}",
                role.connection_limit
            ),
            format!("GRANT \"app_writer\" TO {name}"),
            format!("GRANT select, insert ON TABLE \"public\".\"odd\"\"one\" TO {name}"),
        ];
        assert_eq!(told, expected);
    }
}
