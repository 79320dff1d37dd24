use serde::{Deserialize, Serialize};

/// A colour, red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

/// Light or dark, with the colour tokens of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on near black.
    Dark,
}

/// The tokens that charts use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind the cards.
    pub background: Colour,
    /// The cards, and the ground of a chart.
    pub surface: Colour,
    /// Recessed areas.
    pub sunk: Colour,
    /// Hairlines and grid.
    pub line: Colour,
    /// Text and marks.
    pub ink: Colour,
    /// Secondary text.
    pub soft: Colour,
    /// Tick labels.
    pub faint: Colour,
    /// A claim that holds.
    pub good: Colour,
    /// A warning.
    pub warn: Colour,
    /// The container lane.
    pub container: Colour,
    /// The virtual machine lane.
    pub vm: Colour,
    /// The baseline lane.
    pub process: Colour,
}

const LIGHT: Palette = Palette {
    background: Colour(0xf6, 0xf7, 0xf9),
    surface: Colour(0xff, 0xff, 0xff),
    sunk: Colour(0xee, 0xf0, 0xf3),
    line: Colour(0xdf, 0xe3, 0xe8),
    ink: Colour(0x15, 0x18, 0x1d),
    soft: Colour(0x5a, 0x64, 0x72),
    faint: Colour(0x6d, 0x77, 0x86),
    good: Colour(0x00, 0x79, 0x5a),
    warn: Colour(0x9a, 0x67, 0x00),
    container: Colour(0x00, 0x72, 0xb2),
    vm: Colour(0xd5, 0x5e, 0x00),
    process: Colour(0x6d, 0x77, 0x86),
};

const DARK: Palette = Palette {
    background: Colour(0x12, 0x15, 0x1a),
    surface: Colour(0x1a, 0x1e, 0x25),
    sunk: Colour(0x14, 0x18, 0x1e),
    line: Colour(0x2b, 0x31, 0x3b),
    ink: Colour(0xec, 0xef, 0xf3),
    soft: Colour(0xa9, 0xb3, 0xc1),
    faint: Colour(0x8b, 0x96, 0xa5),
    good: Colour(0x3f, 0xcf, 0x9f),
    warn: Colour(0xe3, 0xb3, 0x41),
    container: Colour(0x56, 0xb4, 0xe9),
    vm: Colour(0xf0, 0x88, 0x3e),
    process: Colour(0x8b, 0x96, 0xa5),
};

impl Theme {
    /// Both themes.
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// The word in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The colour tokens.
    pub fn palette(self) -> &'static Palette {
        match self {
            Self::Light => &LIGHT,
            Self::Dark => &DARK,
        }
    }
}

impl Colour {
    /// This colour at `strength` (0 to 1) over `ground`, as an opaque colour:
    /// a tint does not let the grid shine through.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of two bytes is a byte"
    )]
    pub fn over(self, ground: Self, strength: f64) -> Self {
        let mix = |top: u8, below: u8| {
            (f64::from(below) + (f64::from(top) - f64::from(below)) * strength.clamp(0.0, 1.0))
                .round() as u8
        };
        Self(mix(self.0, ground.0), mix(self.1, ground.1), mix(self.2, ground.2))
    }

    /// The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast
    /// ratio").
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// This colour, moved towards `ink` until text in it can be read on
    /// `ground` (4.5, WCAG 2.2 success criterion 1.4.3).
    #[must_use]
    pub fn readable_on(self, ground: Self, ink: Self) -> Self {
        (0..=20)
            .map(|step| ink.over(self, f64::from(step) / 20.0))
            .find(|colour| colour.contrast(ground) >= 4.5)
            .unwrap_or(ink)
    }

    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

impl Palette {
    /// A colour for text on `ground`: the theme's ink or surface when they
    /// read well, else black or white, one of which always does (their
    /// contrasts with one colour multiply to 21, so the better is at least
    /// 4.58).
    pub fn text_on(&self, ground: Colour) -> Colour {
        let contrast = |colour: &Colour| colour.contrast(ground);
        let best = |pair: [Colour; 2]| {
            if contrast(&pair[0]) >= contrast(&pair[1]) { pair[0] } else { pair[1] }
        };
        let own = best([self.ink, self.surface]);
        if contrast(&own) >= 4.5 { own } else { best([Colour(0, 0, 0), Colour(255, 255, 255)]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_can_be_read() {
        for theme in Theme::ALL {
            let p = theme.palette();
            for colour in [p.ink, p.soft, p.faint, p.good] {
                assert!(colour.contrast(p.surface) >= 4.5, "{theme:?} {colour:?}");
            }
            for lane in [p.container, p.vm, p.process] {
                assert!(lane.readable_on(p.surface, p.ink).contrast(p.surface) >= 4.5);
                for strength in [0.2, 0.35, 0.5, 0.65, 0.8, 1.0] {
                    let ground = lane.over(p.surface, strength);
                    assert!(
                        p.text_on(ground).contrast(ground) >= 4.5,
                        "{theme:?} {lane:?} {strength}"
                    );
                }
            }
        }
    }

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        let (black, white) = (Colour(0, 0, 0), Colour(255, 255, 255));
        assert!((black.contrast(white) - 21.0).abs() < 1e-9);
        assert!((Colour(0x76, 0x76, 0x76).contrast(white) - 4.54).abs() < 0.01);
    }
}
