//! The nearest name to one that was not found.

/// Longest name compared, in bytes: the work is quadratic in it.
const LENGTH_MAX: usize = 128;
/// Most names compared.
const COMPARED_MAX: usize = 2_000;
/// Most names a message lists.
const LIST_MAX: usize = 8;

/// `did you mean `x`?`, or a list of what there is.
pub fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .take(COMPARED_MAX)
        .filter(|k| k.len() <= LENGTH_MAX && name.len() <= LENGTH_MAX)
        .map(|k| (distance(&name.to_lowercase(), &k.to_lowercase()), *k))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, k)| {
            let shorter = k.chars().count().min(name.chars().count());
            *distance < shorter && *distance <= 1 + shorter / 3
        });
    match near {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => {
            let list: Vec<String> = known.iter().take(LIST_MAX).map(|k| format!("`{k}`")).collect();
            let more = known.len().saturating_sub(LIST_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("there are {}{more}", list.join(", "))
        }
    }
}

/// Edits that make one text of the other: letters added, left out, changed, or swapped with the next.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}
