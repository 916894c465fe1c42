//! The names that somebody may have meant.

/// Says little of which kind is meant, since many have it.
const COMMON_WORDS: [&str; 3] = ["node", "nodes", "primary"];

/// Words that begin with so many letters alike have one stem.
const STEM_LETTERS: usize = 4;

/// The known name nearest to `text`, if one is near: capitals and underscores count for nothing,
/// and two letters may be wrong. If none is, those that share a word with it, or the stem of one.
pub(super) fn meant<'a, const N: usize>(text: &str, names: [&'a str; N]) -> Vec<&'a str> {
    match nearest(text, names) {
        Some(name) => vec![name],
        None => names.into_iter().filter(|name| is_akin(text, name)).collect(),
    }
}

fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = bare(text);
    let distances = names.into_iter().map(|name| (distance(&text, &bare(name)), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && distance < text.len()).then_some(name)
}

fn is_akin(text: &str, name: &str) -> bool {
    let text = text.to_lowercase();
    let words = |text: &'_ str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.filter(|word| !COMMON_WORDS.contains(word)).map(str::to_owned).collect()
    };
    let have_one_stem = |one: &String, other: &String| {
        let alike = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
        one == other || alike >= STEM_LETTERS
    };
    let known = words(name);
    words(&text).iter().any(|word| known.iter().any(|known| have_one_stem(word, known)))
}

fn bare(name: &str) -> Vec<char> {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

/// How many letters must be put in, left out or changed to make one of the other.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right_are_recognised() {
        let names = ["honest_node", "slow_nodes", "faulty_node"];
        assert_eq!(nearest("HonestNode", names), Some("honest_node"));
        assert_eq!(nearest("slow_node", names), Some("slow_nodes"));
        assert_eq!(nearest("faulty-nod", names), Some("faulty_node"));
        assert_eq!(nearest("evil", names), None);
        assert_eq!(nearest("n", ["to"]), None);
        assert_eq!(nearest("", ["to"]), None);
    }

    #[test]
    fn names_that_share_a_word_or_its_stem_are_recognised() {
        let names =
            ["equivocating_primary", "slow_nodes", "slow_primary", "forging_node", "dos_it"];
        for (text, expected) in [
            ("slow_node", &["slow_nodes"][..]),
            ("equivocating", &["equivocating_primary"]),
            ("EquivocatorNode", &["equivocating_primary"]),
            ("slow", &["slow_nodes", "slow_primary"]),
            ("forged-requests", &["forging_node"]),
            ("dos", &["dos_it"]),
            ("primary", &[]),
            ("do", &[]),
            ("evil_node", &[]),
            ("", &[]),
        ] {
            assert_eq!(meant(text, names), expected, "{text}");
        }
    }

    #[test]
    fn distance_counts_letters_put_in_left_out_and_changed() {
        let between = |one: &str, other: &str| distance(&bare(one), &bare(other));
        assert_eq!(between("", "abc"), 3);
        assert_eq!(between("kitten", "sitting"), 3);
        assert_eq!(between("same", "same"), 0);
    }
}
