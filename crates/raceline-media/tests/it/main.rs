//! Decoding and resizing against what Pillow gives, and against bytes that lie.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod pillow;
