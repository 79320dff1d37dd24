use serde::{Deserialize, Serialize};

/// The size that a chart is asked to have, in CSS pixels. The width is kept;
/// the height grows when the content needs more, so that nothing overlaps:
/// the size as drawn stands in [`Scales`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Size {
    /// Width; narrower than 280 is drawn at 280, wider than 4096 at 4096.
    pub width: u32,
    /// Least height; 0 lets the chart choose.
    pub height: u32,
}

/// A drawn chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Chart {
    /// A whole SVG document without styles or scripts.
    pub svg: String,
    /// Where the data lies in it.
    pub scales: Scales,
    /// The same data for those who cannot see it.
    pub table: Table,
}

/// A chart with the name that its files bear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NamedChart {
    /// `race`, `cpu`, `memory`, …
    pub name: String,
    /// The chart.
    pub chart: Chart,
}

/// How data lie on the picture: for crosshair, tooltip and zoom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Scales {
    /// Width of the `viewBox`, pixels.
    pub width: f64,
    /// Height of the `viewBox`, pixels.
    pub height: f64,
    /// The areas with data: one, or one for each lane where lanes have axes
    /// of their own.
    pub panels: Vec<Panel>,
}

/// One area with data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Panel {
    /// The lane it belongs to, when it belongs to one.
    pub lane: Option<String>,
    /// Its place.
    pub plot: Rect,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis; null where the vertical place means the lane.
    pub y: Option<Axis>,
}

/// A linear axis: the ends of the plot area stand for the ends of the domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Axis {
    /// Values at the left and right, or at the bottom and top.
    pub domain: [f64; 2],
    /// Unit of those values: `ns`, `bytes`, `processors`.
    pub unit: String,
}

/// A rectangle in the coordinates of the `viewBox`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// The accessible data table of a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Table {
    /// What the table shows.
    pub caption: String,
    /// Column headings.
    pub header: Vec<String>,
    /// Rows with as many cells as there are headings. They are text, never
    /// markup.
    pub rows: Vec<Vec<String>>,
}

impl Size {
    /// As wide as told, as high as needed.
    pub fn wide(width: u32) -> Self {
        Self { width, height: 0 }
    }

    pub(crate) fn drawn_width(self) -> f64 {
        f64::from(self.width.clamp(280, 4096))
    }

    /// The asked height, within reason.
    pub(crate) fn least_height(self) -> f64 {
        f64::from(self.height.min(4096))
    }
}

impl Rect {
    pub(crate) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(crate) fn bottom(self) -> f64 {
        self.y + self.height
    }
}

impl Table {
    pub(crate) fn new(caption: &str, header: &[&str]) -> Self {
        Self {
            caption: caption.to_owned(),
            header: header.iter().map(|&cell| cell.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// The rows as sentences, for the picture's description.
    pub(crate) fn description(&self) -> String {
        let rows = self.rows.iter().take(40).map(|row| {
            row.iter().filter(|cell| !cell.is_empty()).cloned().collect::<Vec<_>>().join(", ")
        });
        rows.collect::<Vec<_>>().join("; ")
    }
}
