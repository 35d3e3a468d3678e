"""Currencies, and how many decimals the minor unit is of that amounts are kept in."""

_WITHOUT = "bif clp djf gnf isk jpy kmf krw pyg rwf ugx uyi vnd vuv xaf xof xpf"
_WITH_TWO = (
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob bov brl bsd btn bwp byn bzd cad cdf che chf "
    "chw cny cop cou crc cuc cup cve czk dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gtq gyd hkd hnl hrk "
    "htg huf idr ils inr irr jmd kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk mnt mop mru mur mvr "
    "mwk mxn mxv myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sdg sek sgd shp "
    "sle sll sos srd ssp std stn svc syp szl thb tjs tmt top try ttd twd tzs uah usd usn uyu uzs ved ves wst xcd xcg "
    "yer zar zmw zwg zwl"
)
_WITH_THREE = "bhd iqd jod kwd lyd omr tnd"
_WITH_FOUR = "clf uyw"

EXPONENTS: dict[str, int] = {
    code: exponent
    for exponent, codes in ((0, _WITHOUT), (2, _WITH_TWO), (3, _WITH_THREE), (4, _WITH_FOUR))
    for code in codes.split()
}
"""Decimals by lower-case code, as ISO 4217 has them; codes that were replaced of late are there too."""

EXPONENTS_OF_PROVIDERS: dict[str, dict[str, int]] = {"stripe": {"isk": 2, "mga": 0, "ugx": 2}}
"""Where a provider counts otherwise, and its amounts are kept as it tells them (docs.stripe.com/currencies).

Kronur and Ugandan shillings have no decimals any more and are still told in hundredths, ariary in whole ones.
"""


def exponent_of(provider: str, code: str) -> int | None:
    """The decimals of the provider's amounts in that currency; None for a code that is no currency's."""
    return EXPONENTS_OF_PROVIDERS.get(provider, {}).get(code, EXPONENTS.get(code))
