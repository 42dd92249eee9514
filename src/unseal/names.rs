//! Where an object goes in a folder.
//!
//! An S3 key is any text; a path is not. Each segment of the key between slashes becomes one name:
//!
//! | in the key | in the path |
//! |---|---|
//! | letters, digits and most other characters, also beyond ASCII | as they are |
//! | `%`, control characters, `\ : * ? " < > \|`, a dot or space at the end; the dots of `.` and `..` | `%` and two upper-case hex digits for each byte |
//! | nothing (`a//b`, `a/`) | `%` |
//! | more than 180 bytes once written so | the first 120 or so, `%long-`, the first 32 hex digits of SHA-256 of the segment |
//!
//! Where one key is the folder of another (`a` and `a/b`), the object has a `%` behind its name. A version that is not the latest has
//! `%v-` and its version id there. No key can make these itself, since its own `%` is written `%25`: two keys never get one path, nothing
//! leaves the bucket's folder, and the path leads back to the key.

use std::fmt::Write;

use crate::{
    digest,
    types::{BucketName, ObjectKey, VersionId},
};

const MOST: usize = 180;
const KEPT: usize = 120;

/// The path of an object below the output folder, always relative and without `..`. `is_folder`: other keys lie below this one.
pub fn relative_path(bucket: &BucketName, key: &ObjectKey, is_folder: bool, version: Option<VersionId>) -> String {
    let segments: Vec<String> = key.as_str().split('/').map(segment).collect();
    let mut path = format!("{bucket}/{}", segments.join("/"));
    if is_folder {
        path.push('%');
    }
    if let Some(version) = version {
        // To a String: it cannot fail.
        let _ = write!(path, "%v-{version}");
    }
    path
}

fn segment(text: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    let dots_alone = matches!(text, "." | "..");
    let mut written = String::with_capacity(text.len());
    let last = text.chars().count() - 1;
    for (at, character) in text.chars().enumerate() {
        let at_end = at == last && matches!(character, '.' | ' ');
        let special = matches!(character, '%' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
        if special || character.is_control() || at_end || (dots_alone && character == '.') {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                let _ = write!(written, "%{byte:02X}");
            }
        } else {
            written.push(character);
        }
    }
    if written.len() <= MOST {
        return written;
    }
    let mut end = KEPT;
    while !written.is_char_boundary(end) {
        end -= 1;
    }
    let hash = digest::sha256(text.as_bytes());
    format!("{}%long-{}", &written[..end], hex::encode(&hash[..16]))
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn path(key: &str) -> String {
        relative_path(&"media".parse().unwrap(), &ObjectKey::new(key).unwrap(), false, None)
    }

    #[test]
    fn keys_become_paths_that_stay_inside() {
        let long = "گ".repeat(200);
        for (key, expected) in [
            ("users/amna/a b.jpg", "media/users/amna/a b.jpg"),
            ("../../etc/passwd", "media/%2E%2E/%2E%2E/etc/passwd"),
            ("/etc/passwd", "media/%/etc/passwd"),
            ("a//b/", "media/a/%/b/%"),
            ("./x/.", "media/%2E/x/%2E"),
            (".hidden/..x", "media/.hidden/..x"),
            ("nul\0\n\u{9f}", "media/nul%00%0A%C2%9F"),
            ("c:\\x*?\"<>|", "media/c%3A%5Cx%2A%3F%22%3C%3E%7C"),
            ("100%25", "media/100%2525"),
            ("end./end ", "media/end%2E/end%20"),
            ("تصویر", "media/تصویر"),
        ] {
            assert_eq!(path(key), expected);
        }
        let cut = path(&long);
        assert!(cut.len() < 200 && cut.contains("%long-"), "{cut}");
        assert_ne!(cut, path(&format!("{long}x")));
    }

    #[test]
    fn a_key_beside_its_folder_and_a_version_have_names_that_no_key_makes() {
        let (bucket, key) = ("media".parse().unwrap(), ObjectKey::new("a").unwrap());
        assert_eq!(relative_path(&bucket, &key, true, None), "media/a%");
        assert_eq!(relative_path(&bucket, &key, true, Some(VersionId::Null)), "media/a%%v-null");
        assert_eq!(path("a%"), "media/a%25");
    }

    fn nasty() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            Just('\0'),
            Just('/'),
            Just('.'),
            Just('%'),
            Just('2'),
            Just('E'),
            Just(' '),
            Just('\\'),
            Just('a'),
            any::<char>()
        ];
        prop::collection::vec(character, 1..12).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn no_two_keys_share_a_path_and_none_leaves(a in nasty(), b in nasty()) {
            prop_assert_eq!(a == b, path(&a) == path(&b));
            for component in Path::new(&path(&a)).components() {
                prop_assert!(matches!(component, Component::Normal(name) if name.len() < 256), "{:?}", component);
            }
        }
    }
}
