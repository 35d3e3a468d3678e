"""The names that generated people, companies and products bear."""

PEOPLE = (
    "Ada Lovelace", "Grace Hopper", "José Álvarez", "Zoë Öztürk", "Siân O'Brien", "Łukasz Żak",
    "Nguyễn Thị Hà", "Ibrahim Diallo", "Mary-Jane Watson", "Søren Kierkegaard", "François Müller",
    "Anna Ruiz", "Tom Li", "Priya Natarajan", "Björk Guðmundsdóttir", "John Smith", "Kim Min-jun", "李伟",
    "山田 太郎", "Иван Петров", "Σωκράτης Παπαδόπουλος", "محمد العتيبي", "דנה לוי", "สมชาย ใจดี",
)  # fmt: skip
COMPANIES = (
    "Smith, \"Bob\" & Sons", "Ünïcode GmbH", "Northwind Traders", "Initech LLC", "株式会社サンプル",
    "🎉 Party Supplies 🎈", "Umbrella S.A.", "Müller & Söhne KG", "شركة المثال", "Tab\tand\nNewline Ltd",
    "Back\\slash Inc.", "<b>Bold</b> Studios", "Crème Brûlée SARL",
)  # fmt: skip
PLACES = (
    ("San Francisco", "US", "94107", "CA"), ("New York", "US", "10001", "NY"),
    ("Berlin", "DE", "10115", None), ("München", "DE", "80331", "BY"), ("London", "GB", "EC1A 1BB", None),
    ("Paris", "FR", "75001", None), ("東京", "JP", "100-0001", "東京都"),
    ("São Paulo", "BR", "01000-000", "SP"),
)  # fmt: skip
STREETS = (
    "Market Street", "Hauptstraße", "Rue de l'Église", "High Street", "Avenida Paulista", "桜通り",
)  # fmt: skip
PRODUCTS = (
    "Starter", "Team", "Business", "Enterprise", "Storage add-on", "Priority support", "API calls", "Seats",
    "Analytics", "Onboarding", "Données illimitées", "データ転送",
)  # fmt: skip
LOCALES = (
    "en", "de", "fr", "ja", "pt-BR", "he",
)  # fmt: skip
