"""One row of Settings: label, help, the control of its kind, its default, what is wrong with what was typed."""

from __future__ import annotations

from PySide6.QtCore import QStandardPaths, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from icworkshop_gui.engine.api.settings import Kind, Setting, format_rate, parse_rate
from icworkshop_gui.gui.prefs import Pref
from icworkshop_gui.gui.screens.settings.entries import Entry
from icworkshop_gui.gui.screens.settings.schedule import ScheduleEditor
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Dot, LinkButton
from icworkshop_gui.gui.widgets.labels import Label, Paragraph
from icworkshop_gui.gui.widgets.rate_slider import STEPS, TELL_AFTER_MS, Slider, nearest_step
from icworkshop_gui.gui.widgets.search_field import Field
from icworkshop_gui.gui.widgets.switch import Switch
from icworkshop_gui.gui.widgets.tabs import PillTabs

FIELD_WIDTH = 110


class Control(QWidget):
    """What edits a value.

    Signals:
        edited(str): the player wants this text as the value.
    """

    edited = Signal(str)
    is_wide = False
    """It stands below the words, not beside them."""

    def set_value(self, value: str) -> None:
        """Show a value; never tells. Each control has its own; Qt's metaclass rules out `abc` here."""
        raise NotImplementedError


class SwitchControl(Control):
    """On or off."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.switch = Switch(label)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.switch)
        self.switch.clicked.connect(lambda on: self.edited.emit("true" if on else "false"))
        self.setFocusProxy(self.switch)

    def set_value(self, value: str) -> None:
        self.switch.setChecked(value == "true")


class TextField(Field):
    """Enter and leaving it hand the text in; Escape brings the last good one back."""

    def __init__(self, name: str) -> None:
        super().__init__("", name)
        self.good = ""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text() != self.good:
            self.setText(self.good)
            return
        super().keyPressEvent(event)


class TextControl(Control):
    """A number or a size."""

    def __init__(self, label: str, unit: str = "") -> None:
        super().__init__()
        self.field = TextField(label)
        self.field.setFixedWidth(FIELD_WIDTH)
        self.field.setAlignment(Qt.AlignmentFlag.AlignRight)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.field)
        if unit:
            row.addWidget(Label(unit, Text.SECOND, Token.MUTED))
        self.field.editingFinished.connect(self._finish)
        self.setFocusProxy(self.field)

    def _finish(self) -> None:
        if self.field.text().strip() != self.field.good:
            self.edited.emit(self.field.text().strip())

    def set_value(self, value: str) -> None:
        typing = self.field.hasFocus() and self.field.text().strip() != self.field.good
        self.field.good = value
        if not typing:
            self.field.setText(value)


class LineControl(TextControl):
    """A list in one line, as wide as the row."""

    is_wide = True

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.field.setMinimumWidth(FIELD_WIDTH)
        self.field.setMaximumWidth((1 << 24) - 1)
        self.field.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self.field.setPlaceholderText("none")


class RateControl(TextControl):
    """A slider with words at its ends, and the exact figure beside it."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.slider = Slider(label)
        self.slider.setRange(0, len(STEPS) - 1)
        self.slider.setPageStep(1)
        self.slider.setFixedWidth(210)
        self._quiet = False
        layout = self.layout()
        assert isinstance(layout, QHBoxLayout)
        layout.setSpacing(14)
        layout.insertWidget(0, self.slider)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TELL_AFTER_MS)
        self._timer.timeout.connect(self._tell)
        self.slider.valueChanged.connect(self._slide)

    def _slide(self, step: int) -> None:
        if not self._quiet:
            self.field.setText(format_rate(STEPS[step]))
            self._timer.start()

    def _tell(self) -> None:
        self.edited.emit(format_rate(STEPS[self.slider.value()]))

    def set_value(self, value: str) -> None:
        if self.slider.isSliderDown() or self._timer.isActive():
            return
        super().set_value(value)
        try:
            rate = parse_rate(value)
        except ValueError:
            return
        self._quiet = True
        self.slider.setValue(nearest_step(rate))
        self._quiet = False


class FolderControl(TextControl):
    """A path, typed or chosen."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.field.setFixedWidth(260)
        self.field.setAlignment(Qt.AlignmentFlag.AlignLeft)
        self.field.setPlaceholderText("in the program's data")
        self.choose = Button("Choose…", icon="folder-open", small=True)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self.choose)
        self.choose.clicked.connect(self._ask)

    def _ask(self) -> None:
        start = self.field.text() or QStandardPaths.writableLocation(QStandardPaths.StandardLocation.HomeLocation)
        dialog = QFileDialog(self.window(), "Choose a folder", start)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.edited)
        dialog.open()


class ChoiceControl(Control):
    """One of a few words."""

    def __init__(self, label: str, choices: tuple[tuple[str, str], ...]) -> None:
        super().__init__()
        self.tabs = PillTabs(choices, label)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.tabs)
        self.tabs.chosen.connect(self.edited)
        self.setFocusProxy(self.tabs)

    def set_value(self, value: str) -> None:
        self.tabs.choose(value)


class ScheduleControl(Control):
    """Rules below each other; as wide as the row."""

    is_wide = True

    def __init__(self) -> None:
        super().__init__()
        self.editor = ScheduleEditor()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.editor)
        self.editor.edited.connect(self.edited)
        self.setFocusProxy(self.editor.add)

    def set_value(self, value: str) -> None:
        self.editor.set_text(value)


def control_for(row: Setting | Pref) -> Control:
    """The control of a row, by its kind."""
    if isinstance(row, Pref):
        return ChoiceControl(row.label, row.choices) if row.choices else SwitchControl(row.label)
    match row.kind:
        case Kind.BOOL:
            return SwitchControl(row.label)
        case Kind.RATE:
            return RateControl(row.label)
        case Kind.SCHEDULE:
            return ScheduleControl()
        case Kind.FOLDER:
            return FolderControl(row.label)
        case Kind.INT:
            return TextControl(row.label, row.unit)
        case Kind.SIZE | Kind.RATIO | Kind.DURATION:
            return TextControl(row.label)
        case Kind.HOSTS:
            return LineControl(row.label)


class SettingRow(QWidget):
    """Signals: wanted(str, str): the player wants this value for this key."""

    wanted = Signal(str, str)

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.entry = entry
        self._value = entry.row.default
        self.control = control_for(entry.row)
        self.label = Label(entry.label, Text.ITEM)
        self.label.setBuddy(self.control)
        self._dot = Dot(Token.ACCENT)
        self._dot.setAccessibleName("Changed")
        self.error = Label("", Text.SECOND, Token.ERROR, wrap=True)
        self.default = Label("", Text.CAPTION, Token.MUTED)
        self.reset = LinkButton("Reset", style=Text.CAPTION_STRONG)
        self.reset.setAccessibleName(f"Reset {entry.label}")
        self._build()
        self.control.edited.connect(self._edited)
        self.reset.clicked.connect(lambda: self.wanted.emit(entry.key, entry.row.default))
        self.set_value(entry.row.default)

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(7)
        top.addWidget(self.label)
        top.addWidget(self._dot)
        top.addStretch(1)
        back = QHBoxLayout()
        back.setSpacing(4)
        back.addWidget(self.default)
        back.addWidget(self.reset)
        back.addStretch(1)
        text = QVBoxLayout()
        text.setSpacing(3)
        text.addStretch(1)
        text.addLayout(top)
        text.addWidget(Paragraph(self.entry.help, Text.SECOND, Token.MUTED))
        text.addWidget(self.error)
        text.addLayout(back)
        if self.control.is_wide:
            text.addWidget(self.control)
        text.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 12, 16, 12)
        row.setSpacing(24)
        row.addLayout(text, 1)
        if not self.control.is_wide:
            row.addWidget(self.control, 0, Qt.AlignmentFlag.AlignVCenter)
        self.error.hide()

    @property
    def value(self) -> str:
        """The value that holds."""
        return self._value

    def set_value(self, value: str) -> None:
        """It holds now."""
        self._value = value
        self.control.set_value(value)
        self.show_error("")
        changed = value != self.entry.row.default
        self._dot.setVisible(changed)
        self.default.setVisible(changed)
        self.reset.setVisible(changed)
        self.default.setText(f"Default: {self.entry.default_words()}")

    def show_error(self, words: str) -> None:
        """Beside the control; the last good value goes on holding."""
        self.error.setText(words)
        self.error.setVisible(bool(words))
        if words and isinstance(self.control, SwitchControl | ChoiceControl):
            self.control.set_value(self._value)

    def _edited(self, text: str) -> None:
        row = self.entry.row
        if isinstance(row, Setting):
            try:
                row.parse(text)
            except ValueError as error:
                self.show_error(str(error))
                return
        self.show_error("")
        self.wanted.emit(self.entry.key, text)
