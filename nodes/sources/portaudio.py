"""How is a microphone found, opened and given up, when PortAudio may be missing and devices come and go?"""

import contextlib
import ctypes
import threading
from collections.abc import Callable
from typing import Any

# PortAudio lists its devices once, when initialised, and starting it anew ends every stream of the process:
# one thread at a time, and only while no stream is open.
_lock = threading.Lock()
_streams: set[int] = set()

# Long enough for a busy interpreter to be late, short enough for a word: PortAudio makes four blocks of it.
BUFFER_S = 0.1
CLOSE_S = 0.5


class UnavailableError(Exception):
    """No sound from this device for now; says why, in a few words."""


class MissingLibraryError(UnavailableError):
    """PortAudio is not installed: trying again soon is of no use."""


def open_input(device: int | str, callback: Callable[..., None]) -> Any:
    """A started ``sounddevice.InputStream`` of float32 blocks.

    device: an index, a part of a name, or "default"; devices plugged in since the last time are found too,
    unless another stream of this process is open.  Raises UnavailableError.
    """
    _quiet_alsa()
    try:
        import sounddevice
    except OSError as error:
        raise MissingLibraryError("PortAudio is missing: install libportaudio2") from error
    with _lock:
        try:
            if not _streams:
                sounddevice._terminate()
                sounddevice._initialize()
            found = sounddevice.query_devices(None if device == "default" else device, "input")
        except (sounddevice.PortAudioError, ValueError) as error:
            several = "Multiple" in str(error)
            why = "is several: give its index or more of its name" if several else "not found"
            raise UnavailableError(f"microphone '{device}' {why}") from error
        try:
            stream = sounddevice.InputStream(
                device=found["index"],
                samplerate=found["default_samplerate"],
                channels=min(2, found["max_input_channels"]),
                dtype="float32",
                blocksize=0,
                latency=BUFFER_S,
                callback=callback,
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UnavailableError(f"microphone '{device}' cannot be opened: {_reason(error)}") from error
        _streams.add(id(stream))
    try:
        stream.start()
    except sounddevice.PortAudioError as error:
        close(stream)
        raise UnavailableError(f"microphone '{device}' cannot be started: {_reason(error)}") from error
    return stream


def close(stream: Any) -> None:
    """Give the stream up; one that does not let itself be closed in ``CLOSE_S`` is left to its own thread.

    PortAudio cancels its thread inside the sound system, which may then wait for a lock for ever.  Until it
    is closed PortAudio is not initialised anew, but other streams can be opened.
    """
    closing = threading.Thread(target=_close, args=(stream,), name="closing a stream", daemon=True)
    closing.start()
    closing.join(CLOSE_S)


def _close(stream: Any) -> None:
    with contextlib.suppress(Exception):  # a device that is gone cannot be closed properly
        stream.abort()
    with contextlib.suppress(Exception):
        stream.close()
    with _lock:
        _streams.discard(id(stream))


def _reason(error: Exception) -> str:
    return str(error.args[0] if error.args else error).splitlines()[0]


@ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
def _ignore(file: bytes, line: int, function: bytes, code: int, text: bytes) -> None:
    return None


def _quiet_alsa() -> None:
    """ALSA prints a page to stderr each time a device is not there; we say it once, in a Gap."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_ignore)
