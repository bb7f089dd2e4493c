// SPDX-License-Identifier: BSD-3-Clause
#include "grid/png.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "grid/palette.hpp"

#ifdef SSI_HAVE_PNG
#include <png.h>

#include <vector>
#endif

namespace jacobi {

#ifdef SSI_HAVE_PNG

bool can_write_png() { return true; }

std::string write_png(const std::string& path, std::int64_t width, std::int64_t height,
                      std::span<const std::uint8_t> levels) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(width);
    image.height = static_cast<png_uint_32>(height);
    image.format = PNG_FORMAT_RGB;
    std::vector<Colour> pixels;
    pixels.reserve(levels.size());
    for (const std::uint8_t level : levels) pixels.push_back(palette()[level]);
    // Not png_image_write_to_file: on an error that removes what stands there, were it a device.
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file) return std::strerror(errno);
    errno = 0;
    const bool written =
        png_image_write_to_stdio(&image, file, 0, pixels.data(), 0, nullptr) != 0;
    const int error = errno;
    png_image_free(&image);
    const bool closed = std::fclose(file) == 0;
    if (written && closed) return {};
    if (written) return std::strerror(errno);
    return error != 0 ? std::strerror(error) : image.message;
}

#else

bool can_write_png() { return false; }

std::string write_png(const std::string&, std::int64_t, std::int64_t,
                      std::span<const std::uint8_t>) {
    return "this build has no libpng";
}

#endif

}  // namespace jacobi
