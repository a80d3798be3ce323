"""What the player can do to transfers: each action is a frozen command, and what can be undone offers Undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QWidget

from icworkshop_gui.core.ids import TransferId
from icworkshop_gui.core.priority import Tier
from icworkshop_gui.engine.api import commands as c
from icworkshop_gui.engine.api.snapshots import Reason, TransferSnapshot, TransferState
from icworkshop_gui.gui import format as words
from icworkshop_gui.gui.format import Remedy
from icworkshop_gui.gui.models.transfers import TransferRow, TransfersModel, moves, stepped
from icworkshop_gui.gui.screens.base import Shell
from icworkshop_gui.gui.theme import Text
from icworkshop_gui.gui.tokens import Token
from icworkshop_gui.gui.widgets.buttons import Button, Kind
from icworkshop_gui.gui.widgets.labels import Label
from icworkshop_gui.gui.widgets.menu import Menu
from icworkshop_gui.gui.widgets.rate_slider import RateSlider
from icworkshop_gui.gui.widgets.sheet import Sheet
from icworkshop_gui.gui.widgets.toast import Toast

_TIER_ICONS = {Tier.LOBBY_URGENT: "swords", Tier.USER_REQUESTED: "user", Tier.BACKGROUND: "moon"}


def magnet(transfer: TransferSnapshot) -> str:
    """A link that any BitTorrent program understands (BEP 9); empty without an info-hash."""
    if not transfer.info_hash:
        return ""
    return f"magnet:?xt=urn:btih:{transfer.info_hash}&dn={quote(transfer.name)}"


class TransferActions(QObject):
    """Signals:
    detailsWanted(str): show the details pane on this tab.
    limitsWanted(): lead the player to the bandwidth sliders.
    """

    detailsWanted = Signal(str)
    limitsWanted = Signal()

    def __init__(self, shell: Shell, model: TransfersModel, parent: QObject) -> None:
        super().__init__(parent)
        self._shell = shell
        self._model = model

    # --- running -----------------------------------------------------------------------------------

    def pause(self, transfers: Sequence[TransferId]) -> None:
        self._shell.bridge.send(c.Pause(tuple(transfers)))

    def resume(self, transfers: Sequence[TransferId]) -> None:
        self._shell.bridge.send(c.Resume(tuple(transfers)))

    def toggle(self, transfers: Sequence[TransferId]) -> None:
        """Pause what runs or waits; when the player paused all of them, go on."""
        known = self._known(transfers)
        if not known:
            return
        if all(self._is_paused(transfer) for transfer in known):
            self.resume([transfer.id for transfer in known])
        else:
            self.pause([transfer.id for transfer in known if not self._is_paused(transfer)])

    @staticmethod
    def _is_paused(transfer: TransferSnapshot) -> bool:
        return transfer.state is TransferState.PAUSED and transfer.reason is Reason.USER

    def remedy(self, transfer_id: TransferId) -> None:
        """Press the button beside a reason."""
        known = self._known([transfer_id])
        why = words.explanation(known[0], self._model.engine_now) if known else None
        match why.remedy if why is not None else None:
            case Remedy.START_NOW:
                self._shell.bridge.send(c.StartNow(transfer_id))
            case Remedy.RAISE:
                self.set_tier([transfer_id], Tier.USER_REQUESTED)
            case Remedy.RESUME | Remedy.RETRY:
                self.resume([transfer_id])
            case Remedy.FREE_SPACE:
                self._shell.go("library")
            case Remedy.DETAILS | Remedy.SHOW_LOBBY:
                self.detailsWanted.emit("sources")
            case Remedy.NETWORK | Remedy.SHARING:
                self._shell.go("settings")
            case Remedy.IGNORE_SCHEDULE:
                self._shell.bridge.send(c.SetSlowMode(False))
            case Remedy.LIMITS:
                self.limitsWanted.emit()
            case None:
                pass

    def cancel(self, transfers: Sequence[TransferId]) -> None:
        """Off the page at once; Undo brings them back with every byte."""
        known = self._known(transfers)
        if not known:
            return
        for transfer in known:
            self._model.set_hidden(transfer.id, True)
            self._shell.bridge.send(c.Cancel(transfer.id), self._unhide(transfer.id))
        what = known[0].name if len(known) == 1 else words.count(len(known), "download", "downloads")
        kept = sum(transfer.done - transfer.reused for transfer in known)
        text = f"Cancelled {what} – {words.size(kept)} kept for a minute" if kept > 0 else f"Cancelled {what}"

        def undo() -> None:
            for transfer in known:
                self._shell.bridge.ask(c.UndoCancel(transfer.id))
                self._model.set_hidden(transfer.id, False)

        self._shell.toast(Toast(text, icon="x", token=Token.MUTED, action="Undo", on_action=undo))

    def _unhide(self, transfer: TransferId) -> Callable[[Exception], None]:
        def failed(error: Exception) -> None:
            self._model.set_hidden(transfer, False)
            self._complain(error)

        return failed

    def _complain(self, error: Exception) -> None:
        self._shell.toast(Toast(words.error_sentence(error), icon="triangle-alert", token=Token.ERROR))

    def verify(self, transfer: TransferId) -> None:
        self._shell.bridge.send(c.Recheck(transfer))

    # --- order -------------------------------------------------------------------------------------

    def set_tier(self, transfers: Sequence[TransferId], tier: Tier) -> None:
        self.place(transfers, tier, None)

    def place(self, transfers: Sequence[TransferId], tier: Tier, before: TransferId | None) -> None:
        """Into a tier, in front of another transfer or at its end; Undo where the tier changed."""
        known = self._known(transfers)
        if not known or before in {transfer.id for transfer in known}:
            return
        risen = [transfer for transfer in known if transfer.tier is not tier]
        if risen:
            self._shell.bridge.send(c.SetTier(tuple(transfer.id for transfer in risen), tier))
        if before is not None or not risen:
            self._move(tier, [(transfer.id, before) for transfer in known])
        if risen:
            self._offer_undo(risen, tier)

    def _offer_undo(self, risen: list[TransferSnapshot], tier: Tier) -> None:
        what = risen[0].name if len(risen) == 1 else words.count(len(risen), "download", "downloads")

        def undo() -> None:
            for transfer in risen:
                self._shell.bridge.send(c.SetTier((transfer.id,), transfer.tier))
                self._shell.bridge.send(c.Move(transfer.id, transfer.position))

        text = f"{what} moved to {words.tier_word(tier)}"
        self._shell.toast(Toast(text, icon=_TIER_ICONS[tier], token=Token.INFO, action="Undo", on_action=undo))

    def step(self, transfers: Sequence[TransferId], where: str) -> None:
        """One place `up` or `down`, or to the `top` or `bottom` of their tier."""
        chosen = frozenset(transfers)
        for tier in Tier:
            shown = self._members(tier)
            line = stepped(shown, chosen, where)
            if line != shown:
                after: list[TransferId | None] = [*line[1:], None]
                # From the last to the first, so that what a transfer goes in front of stands where it will be.
                wanted = [pair for pair in zip(line, after, strict=True) if pair[0] in chosen]
                self._move(tier, wanted[::-1])

    def _move(self, tier: Tier, wanted: Sequence[tuple[TransferId, TransferId | None]]) -> None:
        for transfer, position in moves(self._model.transfers.values(), tier, wanted):
            self._shell.bridge.send(c.Move(transfer, position))

    def _members(self, tier: Tier) -> list[TransferId]:
        rows = self._model.rows
        return [row.transfer.id for row in rows if isinstance(row, TransferRow) and row.section.tier is tier]

    def _in_tier(self, transfer: TransferId) -> bool:
        row = self._model.row_at(self._model.index_of(transfer))
        return isinstance(row, TransferRow) and row.section.tier is not None

    def _known(self, transfers: Sequence[TransferId]) -> list[TransferSnapshot]:
        facts = self._model.transfers
        return [facts[transfer] for transfer in transfers if transfer in facts]

    # --- looking ------------------------------------------------------------------------------------

    def folder_of(self, transfer: TransferSnapshot) -> str:
        """Where its files are; empty when that is not known."""
        entry = self._shell.bridge.view.library.get(transfer.ref) if transfer.ref is not None else None
        return entry.folder if entry is not None else ""

    def open_folder(self, folder: str) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(folder))

    def copy_link(self, transfer: TransferSnapshot) -> None:
        QGuiApplication.clipboard().setText(magnet(transfer))
        self._shell.toast(Toast("Link copied", icon="copy", token=Token.INFO))

    def limit_sheet(self, transfer: TransferSnapshot) -> Sheet:
        """Two sliders for one transfer; they act at once."""
        sheet = Sheet("Limit this download", width=420)
        sheet.body.addWidget(Label(transfer.name, Text.BODY, Token.MUTED, wrap=True))
        down, up = RateSlider("arrow-down", "Download limit"), RateSlider("arrow-up", "Sharing limit")
        down.set_rate(transfer.limit_down)
        up.set_rate(transfer.limit_up)

        def changed(_rate: object) -> None:
            self._shell.bridge.send(c.SetTransferLimits(transfer.id, down.rate, up.rate))

        for slider in (down, up):
            slider.rateChosen.connect(changed)
            sheet.body.addWidget(slider)
        done = sheet.add_button(Button("Done", kind=Kind.PRIMARY))
        done.clicked.connect(sheet.close_sheet)
        return sheet

    def menu(self, transfers: Sequence[TransferId], parent: QWidget) -> Menu | None:
        """What can be done to these, as a menu; None when there is nothing."""
        known = self._known(transfers)
        if not known:
            return None
        one = known[0] if len(known) == 1 else None
        ids = [transfer.id for transfer in known]
        queued = all(self._in_tier(transfer) for transfer in ids)
        menu = Menu(parent)
        if queued:
            paused = all(self._is_paused(transfer) for transfer in known)
            if paused:
                menu.entry("Resume", lambda: self.resume(ids), icon_name="play")
            else:
                menu.entry("Pause", lambda: self.toggle(ids), icon_name="pause")
            menu.addSeparator()
            for tier in (Tier.LOBBY_URGENT, Tier.USER_REQUESTED, Tier.BACKGROUND):
                self._tier_entry(menu, ids, tier, all(transfer.tier is tier for transfer in known))
            menu.addSeparator()
            for word, label, icon in (
                ("top", "Move to top", "chevron-up"),
                ("up", "Move up", "arrow-up"),
                ("down", "Move down", "arrow-down"),
                ("bottom", "Move to bottom", "chevron-down"),
            ):
                self._step_entry(menu, ids, word, label, icon)
            menu.addSeparator()
        if one is not None:
            self._single(menu, one)
        if queued:
            menu.addSeparator()
            menu.entry("Cancel", lambda: self.cancel(ids), icon_name="x", token=Token.ERROR)
        return menu

    def _tier_entry(self, menu: Menu, ids: list[TransferId], tier: Tier, checked: bool) -> None:
        menu.entry(f"Priority: {words.tier_word(tier)}", lambda: self.set_tier(ids, tier), checked=checked)

    def _step_entry(self, menu: Menu, ids: list[TransferId], word: str, label: str, icon: str) -> None:
        menu.entry(label, lambda: self.step(ids, word), icon_name=icon)

    def _single(self, menu: Menu, one: TransferSnapshot) -> None:
        menu.entry("Limit…", lambda: self._shell.open_sheet(self.limit_sheet(one)), icon_name="gauge")
        menu.entry("Verify files", lambda: self.verify(one.id), icon_name="shield-check")
        folder = self.folder_of(one)
        if folder:
            menu.entry("Open folder", lambda: self.open_folder(folder), icon_name="folder-open")
        if one.info_hash:
            menu.entry("Copy link", lambda: self.copy_link(one), icon_name="copy")
        ref = one.ref
        if ref is not None:
            menu.entry("Show package", lambda: self._shell.go("package", ref.package), icon_name="package")
        menu.entry("Details", lambda: self.detailsWanted.emit("overview"), icon_name="info")
