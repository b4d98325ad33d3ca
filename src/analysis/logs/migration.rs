//! Lines that tell of a change of a database's schema: a release that did that cannot simply be taken back.
//!
//! Tools say it in sentences of their own (Flyway, Liquibase, Alembic, Rails, Django, Prisma, Entity
//! Framework, goose, golang-migrate, sqlx, knex, `TypeORM`), all of one structure: a migration, or one of its
//! names, that is or was carried out. The rule that is not obvious: looking for migrations and finding none
//! is the everyday line, and a migrated customer is no migrated schema.

/// Whether a message says that a schema is or was changed.
pub fn is_told(text: &str) -> bool {
    holds_a_sign(text.as_bytes()) && is_told_slowly(&text.to_lowercase())
}

/// One pass over the many lines that tell of nothing: each wording holds one of these, by a letter that is
/// not among the commonest.
fn holds_a_sign(text: &[u8]) -> bool {
    (0..text.len()).any(|at| {
        let rest = &text[at..];
        let is = |signs: &[&[u8]]| {
            signs
                .iter()
                .any(|sign| rest.get(..sign.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(sign)))
        };
        match text[at].to_ascii_lowercase() {
            b'g' => is(&[b"grat", b"geset", b"ge set", b"grade ", b"g table", b"g column"]),
            b'y' => is(&[b"ying "]),
            b'p' => is(&[b"p table", b"p column", b"p index"]),
            b'm' => is(&[b"me column", b"me table"]),
            b'r' => is(&[b"r table"]),
            _ => false,
        }
    })
}

fn is_told_slowly(text: &str) -> bool {
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let nothing = any(&[
        "no migration",
        "0 migration",
        "no pending",
        "nothing to migrate",
        "up to date",
        "up-to-date",
        "no change",
        "skipp",
        "already",
        "dry run",
        "dry-run",
        "not applied",
        "would ",
        "is necessary",
        "previously run",
    ]);
    if nothing {
        return false;
    }
    // The statement itself.
    if any(&["alter table", "drop table", "drop column", "rename column", "rename table", "drop index"])
        || any(&["dropping table", "dropping column", "renaming table", "renaming column"])
    {
        return true;
    }
    // Alembic: `Running upgrade a1 -> b2, drop x`.
    if text.contains("running upgrade ") && text.contains("->") {
        return true;
    }
    if any(&["changeset", "change set"]) {
        return any(&["ran successfully", "running", "executed", "applied"]);
    }
    let done = any(&[
        "applied",
        "applying",
        "executed",
        "executing",
        "migrated",
        "migrating",
        " ran ",
        "run:",
        "success",
    ]);
    let noun = any(&["migration", "migrations/"]);
    let schema = any(&["schema", "database", "table", "column", "version", "revision", ".sql"]);
    // Django: `Applying shop.0007_drop_ref... OK`. Rails: `== 20260704 DropRef: migrating ===`.
    let numbered = text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).any(|word| {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        digits >= 4 && (word.len() == digits && digits >= 8 || word.as_bytes().get(digits) == Some(&b'_'))
    });
    let named = text.contains("applying ") && numbered && text.contains("ok");
    let rails = text.contains("==") && any(&[": migrating", ": migrated"]);
    named || rails || done && (noun || text.contains("migrat") && (schema || numbered))
}

/// Whether an error says that the database lacks what the program asks for: a column, a table, a relation.
pub fn is_missing(text: &str) -> bool {
    let text = text.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let object = any(&["column", "table", "relation", "field list"]);
    object
        && any(&[
            "dropped column",
            "dropped table",
            "column dropped",
            "table dropped",
            "does not exist",
            "doesn't exist",
            "unknown column",
            "no such column",
            "no such table",
            "invalid column",
            "undefined column",
            "undefined table",
            "undefinedcolumn",
            "undefinedtable",
            "not found in table",
        ])
        || any(&["ora-00904", "ora-00942", "sqlstate[42s22]", "sqlstate[42s02]"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tools_migration_is_heard() {
        for text in [
            "Migrating schema `shop` to version \"14 - drop ref\"",
            "Successfully applied 2 migrations to schema \"shop\", now at version v14",
            "Running upgrade 1975ea83b712 -> ae1027a6acf, drop ref",
            "Running Changeset: db/changelog/014.xml::14::ann",
            "ChangeSet db/014.xml::14::ann ran successfully in 12ms",
            "== 20260704101500 DropRef: migrating ==",
            "Applying shop.0014_drop_ref... OK",
            "Applying migration `20260704101500_drop_ref`",
            "Applying migration '20260704_DropRef'.",
            "goose: successfully migrated database to version: 14",
            "Applied 20260704101500/migrate drop ref (12.4ms)",
            "Batch 4 run: 2 migrations",
            "Migration DropRef1688 has been executed successfully.",
            "executing: ALTER TABLE item DROP COLUMN ref",
            "migration 0014_drop_ref: dropping column ref ... ok",
        ] {
            assert!(is_told(text), "{text}");
        }
    }

    #[test]
    fn everyday_lines_are_no_migrations() {
        for text in [
            "Schema \"shop\" is up to date. No migration necessary.",
            "No migrations to apply.",
            "customer 77 migrated to plan gold",
            "coupon applied to order 12",
            "applying discount 0.2",
            "dropped 3 late events",
            "Migration check skipped",
            "",
        ] {
            assert!(!is_told(text), "{text}");
        }
    }

    #[test]
    fn what_the_database_lacks_is_told_apart() {
        assert!(is_missing("ERROR: column item.ref does not exist"));
        assert!(is_missing("Unknown column 'ref' in 'field list'"));
        assert!(!is_missing("bucket reports-eu does not exist"));
    }
}
