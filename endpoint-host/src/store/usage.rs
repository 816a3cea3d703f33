//! What was billed, by endpoint, variant and memory size.

use super::Store;
use crate::meter::{Account, Entry};
use crate::resource_name::ResourceName;

type Row = (String, String, i64, i64, i64, i64, i64, i64);

impl Store {
    /// Adds these amounts to their accounts, all or none.
    pub(crate) async fn add_usage(&self, entries: &[(Account, Entry)]) -> Result<(), sqlx::Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut changes = self.0.begin().await?;
        for (account, entry) in entries {
            let add = sqlx::query(
                "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (endpoint, variant, memory_mb) DO UPDATE SET \
                 calls = calls + excluded.calls, billed_ms = billed_ms + excluded.billed_ms, \
                 bytes_in = bytes_in + excluded.bytes_in, \
                 bytes_out = bytes_out + excluded.bytes_out, \
                 provisioned_ms = provisioned_ms + excluded.provisioned_ms",
            );
            add.bind(account.endpoint.as_str())
                .bind(account.variant.as_str())
                .bind(i64::from(account.memory_mb))
                .bind(entry.calls.cast_signed())
                .bind(entry.billed_ms.cast_signed())
                .bind(entry.bytes_in.cast_signed())
                .bind(entry.bytes_out.cast_signed())
                .bind(entry.provisioned_ms.cast_signed())
                .execute(&mut *changes)
                .await?;
        }
        changes.commit().await
    }

    /// All accounts, by endpoint, variant and memory size.
    pub(crate) async fn usage(&self) -> Result<Vec<(Account, Entry)>, sqlx::Error> {
        let rows =
            sqlx::query_as::<_, Row>("SELECT * FROM usage ORDER BY endpoint, variant, memory_mb");
        rows.fetch_all(&self.0).await?.into_iter().map(account).collect()
    }
}

fn account(row: Row) -> Result<(Account, Entry), sqlx::Error> {
    let (endpoint, variant, memory_mb, calls, billed_ms, bytes_in, bytes_out, provisioned_ms) = row;
    let name =
        |name: String| ResourceName::parse(&name).ok_or_else(|| sqlx::Error::Decode(name.into()));
    let memory_mb = u16::try_from(memory_mb).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let account = Account { endpoint: name(endpoint)?, variant: name(variant)?, memory_mb };
    let entry = Entry {
        calls: calls.cast_unsigned(),
        billed_ms: billed_ms.cast_unsigned(),
        bytes_in: bytes_in.cast_unsigned(),
        bytes_out: bytes_out.cast_unsigned(),
        provisioned_ms: provisioned_ms.cast_unsigned(),
    };
    Ok((account, entry))
}
