//! Lists that come in pages, by GitLab's two ways: offset pages, read in parallel once the first says how many there
//! are, and keyset pages, followed by their `Link`. A link's host is GitLab's external one, perhaps not the one that we
//! talk to, so only its query is taken, onto the URL that was asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::try_join_all;
use serde::de::DeserializeOwned;

use crate::http::{Client, ErrorKind, Request, Response, Result};

/// The largest page that GitLab gives.
pub(super) const PER_PAGE: usize = 100;
/// More pages than any list here has; GitLab itself ends offset pages at 50,000 rows.
const MOST_PAGES: u64 = 10_000;
/// More rows than any list here has.
const MOST_ROWS: usize = 1_000_000;
/// More than the text of any list here, in bytes.
const MOST_TEXT: usize = 64 * 1024 * 1024;

/// A row of a list.
pub(super) trait Row: DeserializeOwned {
    /// The bytes of text that are kept of it.
    fn text(&self) -> usize;
}

/// What a list may have in sum, however many pages it comes in.
#[derive(Debug, Default)]
pub(super) struct Room {
    rows: AtomicUsize,
    text: AtomicUsize,
}

impl Room {
    /// Takes the room of these rows. Whether there was enough.
    fn take<T: Row>(&self, rows: &[T]) -> bool {
        let text = rows.iter().map(Row::text).sum();
        let add = |sum: &AtomicUsize, more: usize| sum.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        add(&self.rows, rows.len()) <= MOST_ROWS && add(&self.text, text) <= MOST_TEXT
    }
}

/// All rows of a list by offset pages.
pub(super) async fn offset<T: Row>(client: &Client, request: Request) -> Result<Vec<T>> {
    let room = Room::default();
    let page = |number: u64| {
        request
            .clone()
            .query([("per_page", PER_PAGE.to_string()), ("page", number.to_string())])
    };
    let first = client.call(page(1)).await?;
    let mut rows: Vec<T> = rows_of(&first, &room)?;
    if let Some(total) = header_number(&first, "x-total-pages") {
        if total > MOST_PAGES {
            return Err(endless(&first));
        }
        let rest = (2..=total).map(async |number| rows_of::<T>(&client.call(page(number)).await?, &room));
        rows.extend(try_join_all(rest).await?.into_iter().flatten());
        return Ok(rows);
    }
    // Totals are left out above 10,000 rows: one page after the other.
    let (mut answer, mut current, mut count) = (first, 1, rows.len());
    loop {
        let next = match answer.header("x-next-page").map(str::trim) {
            Some("") => return Ok(rows),
            Some(number) => number.parse().map_err(|_| endless(&answer))?,
            // Something on the way dropped the header: a page that is full may have others after it.
            None if count == PER_PAGE => current + 1,
            None => return Ok(rows),
        };
        if next <= current || next > MOST_PAGES {
            return Err(endless(&answer));
        }
        let following = client.call(page(next)).await?;
        let more = rows_of::<T>(&following, &room)?;
        if !more.is_empty() && following.body() == answer.body() {
            return Err(endless(&following));
        }
        (answer, current, count) = (following, next, more.len());
        rows.extend(more);
    }
}

/// All rows from a first request on by keyset pages in ascending order of id. `id` gives a row's id: ids have to rise
/// from page to page, so that a server that repeats itself is found out.
pub(super) async fn keyset<T: Row>(client: &Client, first: Request, room: &Room, id: fn(&T) -> u64) -> Result<Vec<T>> {
    let mut rows: Vec<T> = Vec::new();
    let mut request = first.clone();
    for _ in 0..MOST_PAGES {
        let answer = client.call(request).await?;
        let page: Vec<T> = rows_of(&answer, room)?;
        let (before, after) = (rows.last().map(id), page.first().map(id));
        if let (Some(before), Some(after)) = (before, after)
            && after <= before
        {
            return Err(endless(&answer));
        }
        let last = page.last().map(id).filter(|_| page.len() == PER_PAGE);
        rows.extend(page);
        request = match (last, next_query(&answer)) {
            // A page that is not full is the last, although GitLab puts a link on each that is not empty (GitLab:
            // `lib/gitlab/pagination/keyset/pager.rb`).
            (None, _) => return Ok(rows),
            (Some(_), Some(query)) => first.clone().with_query(&query),
            // Something on the way dropped the header.
            (Some(last), None) => first.clone().with_pair("id_after", &last.to_string()),
        };
    }
    Err(crate::http::Error::new(
        client.side(),
        ErrorKind::Unexpected,
        first.label(),
        "GitLab's list has no end",
    ))
}

/// The rows of a page.
pub(super) fn rows_of<T: Row>(answer: &Response, room: &Room) -> Result<Vec<T>> {
    let rows: Vec<T> = answer.json()?;
    if rows.len() > PER_PAGE {
        return Err(answer.unexpected(format!(
            "GitLab answered {} with {} rows, where {PER_PAGE} at most were asked for",
            answer.label(),
            rows.len()
        )));
    }
    if !room.take(&rows) {
        return Err(answer.failed(
            ErrorKind::TooLarge,
            format!(
                "GitLab's list of {} is longer than any that has a reason to be",
                answer.label()
            ),
        ));
    }
    Ok(rows)
}

fn endless(answer: &Response) -> crate::http::Error {
    answer.unexpected("GitLab's pages do not come to an end, or repeat themselves")
}

fn header_number(answer: &Response, name: &str) -> Option<u64> {
    answer.header(name)?.trim().parse().ok()
}

/// The query of the link to the next page.
fn next_query(answer: &Response) -> Option<String> {
    let target = next_link(answer.header("link")?)?;
    Some(answer.url().join(target).ok()?.query()?.to_owned())
}

/// The target with `rel="next"` in a `Link` header (RFC 8288).
fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, parameters) = after.split_once('>')?;
        // The next link begins at the next `<`; nothing before it can hold one.
        let (own, others) = parameters.split_once('<').unwrap_or((parameters, ""));
        let is_next = own
            .split([';', ','])
            .filter_map(|parameter| parameter.trim().strip_prefix("rel="))
            .any(|relation| {
                relation
                    .trim_matches('"')
                    .split_ascii_whitespace()
                    .any(|word| word == "next")
            });
        if is_next {
            return Some(target);
        }
        if others.is_empty() {
            return None;
        }
        rest = &parameters[own.len()..];
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{MOST_ROWS, MOST_TEXT, Room, Row, next_link};

    #[derive(Deserialize)]
    struct Text(String);

    impl Row for Text {
        fn text(&self) -> usize {
            self.0.len()
        }
    }

    #[test]
    fn lists_are_bounded_in_sum() {
        let rows = |number: usize, length: usize| (0..number).map(|_| Text("x".repeat(length))).collect::<Vec<_>>();
        let room = Room::default();
        assert!((0..MOST_ROWS / 100).all(|_| room.take(&rows(100, 0))));
        assert!(!room.take(&rows(1, 0)));
        let room = Room::default();
        assert!(room.take(&rows(1, MOST_TEXT / 2)) && room.take(&rows(1, MOST_TEXT / 2)));
        assert!(!room.take(&rows(1, 1)));
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        let header =
            r#"<https://e.example.com/a?x=1,2>; rel="first", <https://e.example.com/a?id_after=9>; rel="next""#;
        assert_eq!(next_link(header), Some("https://e.example.com/a?id_after=9"));
        assert_eq!(next_link("</a?page=2>; rel=next"), Some("/a?page=2"));
    }

    #[test]
    fn no_next_link_is_the_end() {
        for header in ["", "<x", "<x>; rel=\"prev\"", "<x>; rel=\"first\", <y>; rel=\"last\""] {
            assert_eq!(next_link(header), None, "{header}");
        }
    }
}
