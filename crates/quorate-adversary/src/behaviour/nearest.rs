//! The name that somebody may have meant.

/// The known name nearest to `text`, if one is near: capitals and underscores count for nothing,
/// and two letters may be wrong.
pub(super) fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = bare(text);
    let distances = names.into_iter().map(|name| (distance(&text, &bare(name)), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 && distance < text.len()).then_some(name)
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
    fn distance_counts_letters_put_in_left_out_and_changed() {
        let between = |one: &str, other: &str| distance(&bare(one), &bare(other));
        assert_eq!(between("", "abc"), 3);
        assert_eq!(between("kitten", "sitting"), 3);
        assert_eq!(between("same", "same"), 0);
    }
}
