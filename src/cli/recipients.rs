//! `domicile keys recipients list | add | remove`: off-line, on the keyring's file.

use std::io::Write;

use serde_json::json;

use super::{
    Failure, Output, Table,
    args::{KeyringArgs, RecipientsCommand},
};
use crate::app::close_to_others;
use crate::kms::KeyringRecipients;

/// Shows or changes whose identities open a keyring.
pub(super) fn run(command: &RecipientsCommand, out: &mut Output<'_>) -> Result<(), Failure> {
    close_to_others().map_err(|error| Failure::Check(format!("cannot keep memory private: {error}")))?;
    let wrong = |error: crate::kms::KmsError| Failure::Usage(error.to_string());
    let open = |args: &KeyringArgs| KeyringRecipients::open(&args.keyring, &args.identity).map_err(wrong);
    let recipients = match command {
        RecipientsCommand::List(keyring) => open(keyring)?,
        RecipientsCommand::Add { recipient, generate, keyring } => {
            let mut recipients = open(keyring)?;
            match (recipient, generate) {
                (Some(recipient), _) => recipients.add(recipient).map_err(wrong)?,
                (None, Some(file)) => recipients.add_generated(file).map_err(wrong)?,
                (None, None) => return Err(Failure::Usage("give a recipient, or --generate".to_owned())),
            }
            writeln!(
                std::io::stderr(),
                "restart the gateway before it renews a key: until then it refuses to write the keyring"
            )?;
            recipients
        }
        RecipientsCommand::Remove { recipient, keyring } => {
            let mut recipients = open(keyring)?;
            recipients.remove(recipient).map_err(wrong)?;
            writeln!(
                std::io::stderr(),
                "restart the gateway before it renews a key. Copies of the file from before stay open to the one removed: \
                 renew every country's key (`keys rotate --destroy-old`) if it may be in wrong hands."
            )?;
            recipients
        }
    };
    let mut table = Table::new(["RECIPIENT", "THIS IDENTITY"]);
    let mut values = Vec::new();
    for (recipient, is_own) in recipients.list() {
        values.push(json!({ "recipient": recipient, "own": is_own }));
        table.row([recipient, if is_own { "yes".to_owned() } else { String::new() }]);
    }
    out.value(&json!({ "recipients": values }))?;
    out.table(&table)
}
