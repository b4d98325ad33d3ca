//! From SVG to PNG with an embedded font (DejaVu Sans, free under the Bitstream Vera licence).
//!
//! The font database holds that family only: what a browser on this machine would show does not
//! matter, and a machine without fonts draws the same picture.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{Options, Tree};

/// Pixels of the PNG per CSS pixel: chat clients scale pictures down, and screens are dense.
const DENSITY: f32 = 2.0;

/// Renders what [`super::svg`] wrote. About 15 ms in a release build.
///
/// # Errors
/// When the text is no SVG that can be drawn.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let fonts = FONTS.get_or_init(|| {
        let mut fonts = Database::new();
        for face in [dejavu::sans::regular(), dejavu::sans::bold()] {
            fonts.load_font_source(Source::Binary(Arc::new(face)));
        }
        fonts.set_sans_serif_family("DejaVu Sans");
        Arc::new(fonts)
    });
    let options =
        Options { fontdb: Arc::clone(fonts), font_family: "DejaVu Sans".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).context("the chart is not valid SVG")?;
    let size = tree.size().to_int_size().scale_by(DENSITY).context("the chart has no size")?;
    let mut pixels = Pixmap::new(size.width(), size.height()).context("the chart is too large")?;
    resvg::render(&tree, Transform::from_scale(DENSITY, DENSITY), &mut pixels.as_mut());
    pixels.encode_png().context("the chart cannot be encoded as PNG")
}
