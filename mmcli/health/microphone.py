"""Which microphones PortAudio finds, as one JSON line: a program of its own, since sound drivers crash too."""

from __future__ import annotations

from mmcli.engine.probe import tell


def main() -> None:
    try:
        import sounddevice  # fails with OSError where there is no PortAudio

        devices = [device["name"] for device in sounddevice.query_devices() if device["max_input_channels"] > 0]
        tell({"microphones": devices})
    except ImportError:
        tell({"missing": "sounddevice"})
    except OSError as error:
        tell({"missing": "portaudio", "reason": str(error)})
    except Exception as error:  # PortAudioError is known only once the import worked
        tell({"missing": "devices", "reason": str(error)})


if __name__ == "__main__":
    main()
