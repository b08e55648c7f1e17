//! An address as a QR code on a terminal, so that it can be opened on another device: two modules to a character, light ones
//! drawn, for a terminal is dark more often than not, with colours that say so where there are colours.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::style::{PICTURE, paint};

/// The picture, if it fits: half of one is of no use.
pub(super) fn qr(text: &str, (columns, lines): (usize, usize)) -> Option<String> {
    // An address is long, and a terminal shows it without dirt: the least correction makes the smallest picture.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let picture = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    let height = picture.lines().count();
    let width = picture.lines().map(|line| line.chars().count()).max()?;
    (width <= columns && height < lines).then(|| {
        let lines = picture.lines().map(|line| paint(PICTURE, line) + "\n");
        lines.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::qr;

    #[test]
    fn the_picture_is_of_the_address_and_is_shown_whole_or_not_at_all() {
        let url = "https://gitlab.example.com/oauth/authorize?client_id=0123456789abcdef&state=0123456789abcdef";
        let picture = anstream::adapter::strip_str(&qr(url, (80, 50)).unwrap()).to_string();
        let lines: Vec<Vec<char>> = picture.lines().map(|line| line.chars().collect()).collect();
        // Light and dark of both halves of each character, back to modules: a light border of four around the code.
        let light = |x: usize, y: usize| match lines[y / 2][x] {
            '\u{2588}' => true,
            '\u{2580}' => y.is_multiple_of(2),
            '\u{2584}' => !y.is_multiple_of(2),
            _ => false,
        };
        let code = qrcode::QrCode::with_error_correction_level(url, qrcode::EcLevel::L).unwrap();
        let width = code.width();
        assert_eq!(lines[0].len(), width + 8);
        assert!((0..width + 8).all(|at| light(at, 0) && light(0, at)));
        for y in 0..width {
            for x in 0..width {
                let is_light = code[(x, y)] == qrcode::Color::Light;
                assert_eq!(light(x + 4, y + 4), is_light, "{x} {y}\n{picture}");
            }
        }
        assert_eq!(qr(url, (width + 7, 50)), None);
        assert_eq!(qr(url, (80, lines.len())), None);
    }
}
