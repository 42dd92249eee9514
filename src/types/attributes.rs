//! What is known of a subject: `residence`, `citizenship` and any other attribute a policy may ask about.

use std::collections::BTreeMap;

/// Attribute name → value, sorted by name so that it always serialises to the same bytes.
///
/// Names are lower-case words as they stand in a policy file (`residence`); values are compared exactly, except that countries are
/// normalised to upper case where they are parsed.
pub type Attributes = BTreeMap<String, String>;
