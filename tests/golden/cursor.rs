//! How the debug form of a message is read: by whoever holds one against a vector, or against another broker's.

/// Items with commas between them, up to the end.
pub(crate) fn sequence<'t, T>(
    rest: &mut &'t str,
    end: &str,
    item: impl Fn(&mut &'t str) -> T,
) -> Vec<T> {
    let mut items = Vec::new();
    while !eat(rest, end) {
        items.push(item(rest));
        eat(rest, ", ");
    }
    items
}

/// Passes over a token, if it stands here.
pub(crate) fn eat(rest: &mut &str, token: &str) -> bool {
    rest.strip_prefix(token).map(|tail| *rest = tail).is_some()
}

/// The next bytes.
pub(crate) fn take<'t>(rest: &mut &'t str, length: usize) -> &'t str {
    let (head, tail) = rest.split_at(length);
    *rest = tail;
    head
}
