// Strings as JSON, whatever bytes they hold.
#pragma once

#include <string>
#include <string_view>

namespace lastack {

// Strictly: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629).
bool is_utf8(std::string_view bytes);

// Appends `text`, which must be UTF-8, in quotes, with what RFC 8259 wants escaped.
void append_json_string(std::string& out, std::string_view text);

// Each byte as the character of the same number (ISO 8859-1), and back. Names of processes and
// arguments are any bytes; this is how those that are not UTF-8 go through JSON unharmed.
std::string latin1_to_utf8(std::string_view bytes);
// False when a character is above U+00FF. `text` must be UTF-8.
bool utf8_to_latin1(std::string_view text, std::string& bytes);

// For a message: every byte outside printable ASCII becomes '?', so that text from a file cannot
// steer the terminal it is shown on.
std::string printable_ascii(std::string_view text);

}  // namespace lastack
