"""Lists PortAudio's microphones and loudspeakers as JSON lines: a child process, since drivers crash too."""

from __future__ import annotations

from mmcli.engine.local.probe import tell


def main() -> None:
    try:
        import sounddevice  # fails with OSError where there is no PortAudio

        devices = sounddevice.query_devices()
        tell({"microphones": [device["name"] for device in devices if device["max_input_channels"] > 0]})
        tell({"loudspeakers": [device["name"] for device in devices if device["max_output_channels"] > 0]})
    except ImportError:
        tell({"missing": "sounddevice"})
    except OSError as error:
        tell({"missing": "portaudio", "reason": str(error)})
    except Exception as error:  # PortAudioError is known only once the import worked
        tell({"missing": "devices", "reason": str(error)})


if __name__ == "__main__":
    main()
