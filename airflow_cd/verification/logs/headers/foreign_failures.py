"""Words that tell of a failure in other languages than English."""

from __future__ import annotations

import re

_TROUBLE = re.compile(
    r"(?i)(?<![\w./-])(?:"
    r"fehler|fehlgeschlagen|abgelehnt|verweigert|abgebrochen|abgestürzt|zeitüberschreitung|konnten? nicht|ungültig\w*"
    r"|nicht (?:möglich|erreichbar|gefunden|verfügbar|geöffnet)"
    r"|erreur|échec|échoué\w*|impossible de|refusée?|délai (?:d'attente )?dépassé|introuvable|inaccessible|plantage"
    r"|falló|fallo|fallid[oa]|rechazad[oa]|denegad[oa]|no se pudo|imposible|agotado|falha|falhou|recusad[oa]|negad[oa]"
    r"|não foi possível|inválid[oa]|errore|fallit[oa]|rifiutat[oa]|impossibile|scadut[oa]"
    r"|fout|mislukt|geweigerd|kan niet|niet (?:gevonden|bereikbaar|beschikbaar)"
    r"|błąd|nie (?:można|udało się)|odrzucon[oye]|odmowa|hata|başarısız|reddedildi|zaman aşımı"
    r"|kurulamadı|açılamadı|bulunamadı|yapılamadı|\w+namadı|\w+nemedi"
    r"|chyba|selhal[aoiy]?|nelze|nepodařilo se|odmítnut[aoy]?|vypršel[ao]?"
    r"|misslyckad\w*|misslyckats|kunde inte|nekad(?:es|e)?|avvisad(?:es|e)?|mislykked\w*|mislykkes|kunne ikke"
    r"|afvist|avvist|fejl|feilet|feil|virhe|epäonnistu\w*|ei voi(?:da|tu|nut)|evätty"
    r"|hiba|sikertelen\w*|nem sikerült|elutasítva"
    r"|eroare|eșuat|nu s-a putut|refuzată?|σφάλμα|απέτυχε|αποτυχία|δεν είναι δυνατ[ήό]"
    r"|помилка|не вдалося|відмовлено|збій|gagal|tidak (?:dapat|bisa)|ditolak|không thể|thất bại"
    r"|ошибка|не удалось|отказано|отклонен[оаы]?|сбой|невозможно|превышен[оаы]?"
    r")(?![\w-]|[=:] ?(?:<\*>|\d+)(?:[,;)\]}]|$))"
    r"|失败|失敗|错误|錯誤|异常|異常|超时(?!时间|设置)|超時(?!時間|設定)|拒绝|拒絕|拒否|无法|無法|无效|崩溃"
    r"|エラー|できません|タイムアウト(?!時間|値)|실패|오류|거부|시간 ?초과"
)
_NO_TROUBLE = re.compile(
    r"(?i)\b(?:keine?|ohne|sans|aucune?|sin|sem|senza|zonder|geen|bez"
    r"|inga|utan|ingen|uden|uten|nincs|fără|ei|без|нет|немає|tanpa|0|<\*>) (?:\w+ )?"
    r"(?:fehler|erreurs?|errores|erros|errori|fouten|błędów|chyb|fel|fejl|feil|virhettä|hiba|erori|kesalahan|ошибок|помилок)\b"
    r"|(?:无|無|没有|沒有|忽略|<\*> ?(?:个|件の?))\s?(?:错误|錯誤|异常|異常|エラー)"
    r"|(?:错误|异常|エラー|失败|失敗)(?:数|件数)?(?::|：)?\s?<\*>|エラー(?:なし|はありません)|오류 없음"
)


def suggests_failure_elsewhere(beginning: str) -> bool:
    """Whether words of another language than English say that something failed.

    German, French, Spanish, Portuguese, Italian, Dutch, Polish, Czech, Hungarian, Romanian, Greek, Turkish, Swedish,
    Danish, Norwegian, Finnish, Russian, Ukrainian, Indonesian, Vietnamese, Chinese, Japanese and Korean.

    :param beginning: of the message, masked, without its header.
    """
    return _TROUBLE.search(beginning) is not None and _NO_TROUBLE.search(beginning) is None
